"""Group-relative advantages: `ADVANTAGES[name](rewards, group, judged) -> [B]`. One estimator, one file.

Every estimator gives exactly 0 to a row that could not be judged, and leaves such rows out of the baseline.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from reasonrl.algorithms.advantages.dr_grpo import dr_grpo_advantages
from reasonrl.algorithms.advantages.grpo import grpo_advantages

ADVANTAGES: dict[str, Callable[[Tensor, Tensor, Tensor | None], Tensor]] = {
    "grpo": grpo_advantages,
    "dr_grpo": dr_grpo_advantages,
}
