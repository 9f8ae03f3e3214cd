"""Group-relative advantages: `ADVANTAGES[name](rewards, group, judged) -> [B]`. One estimator, one file.

Every estimator gives exactly 0 to a row that could not be judged, and leaves such rows out of the baseline. `NEEDS`
names the keyword arguments that some want beside these: lengths [B], greedy_rewards [B], predictions [B], reward_parts
and part_weights by name. `dcpo` stands beside the others: it remembers each prompt (`reasonrl.update`).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from reasonrl.algorithms.advantages.dr_grpo import dr_grpo_advantages
from reasonrl.algorithms.advantages.gdpo import gdpo_advantages
from reasonrl.algorithms.advantages.gpg import gpg_advantages
from reasonrl.algorithms.advantages.grpo import grpo_advantages
from reasonrl.algorithms.advantages.lite_ppo import lite_ppo_advantages
from reasonrl.algorithms.advantages.max_rl import max_rl_advantages
from reasonrl.algorithms.advantages.opo import opo_advantages
from reasonrl.algorithms.advantages.passk import passk_advantages
from reasonrl.algorithms.advantages.reinforce_pp import reinforce_pp_advantages, reinforce_pp_baseline_advantages
from reasonrl.algorithms.advantages.remax import remax_advantages
from reasonrl.algorithms.advantages.rloo import rloo_advantages
from reasonrl.algorithms.advantages.shrinkage import shrinkage_advantages

ADVANTAGES: dict[str, Callable[..., Tensor]] = {
    "grpo": grpo_advantages,
    "dr_grpo": dr_grpo_advantages,
    "rloo": rloo_advantages,
    "reinforce_pp": reinforce_pp_advantages,
    "reinforce_pp_baseline": reinforce_pp_baseline_advantages,
    "remax": remax_advantages,
    "opo": opo_advantages,
    "gpg": gpg_advantages,
    "passk": passk_advantages,
    "lite_ppo": lite_ppo_advantages,
    "gdpo": gdpo_advantages,
    "max_rl": max_rl_advantages,
    "shrinkage": shrinkage_advantages,
}
NEEDS: dict[str, tuple[str, ...]] = {
    "reinforce_pp": ("lengths",),
    "reinforce_pp_baseline": ("lengths",),
    "remax": ("greedy_rewards",),
    "opo": ("lengths",),
    "gdpo": ("lengths", "reward_parts", "part_weights"),
    "shrinkage": ("predictions",),
}
