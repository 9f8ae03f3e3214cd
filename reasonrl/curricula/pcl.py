"""PCL: train on problems whose success rate is near tau (Prompt Curriculum Learning, arXiv:2510.01135, algorithm 1).

    draw k * m candidates, ask the value model for each, keep the m nearest to tau = 0.5

A rollout of a problem with p = 0.5 teaches most: E[A^2] = p(1-p). Costs one forward pass of k * m prompts, no rollouts.
The paper pairs it with A = r - mean (`advantage: dr_grpo`), no KL, one update a batch; k = 4, m = 512, n = 16. Ties and
unknown rates are not stated by the source; ours: ties go to the candidate drawn first, and a problem of which nothing
is known counts as being at tau, so that it gets known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from reasonrl.curricula.rates import SuccessRates
from reasonrl.curricula.uniform import UniformCurriculum
from verifiers.types import Problem


def select(values: Sequence[float | None], m: int, *, tau: float = 0.5) -> list[int]:
    """Indices of the `m` values nearest to `tau`, nearest first; ties to the lower index. None counts as tau.

    Raises ValueError: a value that is not a number, or fewer than `m` values.
    """
    if m > len(values) or m < 0:
        raise ValueError(f"pcl: {m} of {len(values)} candidates cannot be selected")
    for index, value in enumerate(values):
        if value is not None and math.isnan(value):
            raise ValueError(f"pcl: the value of candidate {index} is not a number")
    return sorted(range(len(values)), key=lambda i: abs((tau if values[i] is None else values[i]) - tau))[:m]  # type: ignore[operator]


class PCLCurriculum:
    """Draws `candidates_per_prompt` times as many problems as are wanted, in shuffled passes, and keeps those nearest
    to `target_rate`.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        seed: int,
        rates: SuccessRates,
        *,
        candidates_per_prompt: int = 4,
        target_rate: float = 0.5,
    ) -> None:
        self._pool = UniformCurriculum(problems, seed)
        self._size = len(problems)
        self._rates = rates
        self._factor, self._tau = candidates_per_prompt, target_rate
        self._taken: set[str] = set()

    def begin_step(self) -> None:
        """Within one step, refills included, no problem is taken twice while others are left."""
        self._taken.clear()

    def select(self, count: int) -> list[Problem]:
        """The next `count` problems, in the order in which they were drawn."""
        drawn = max(count, min(count * self._factor, self._size))
        candidates = self._pool.select(drawn)
        # Candidates that span two passes over the data may hold a problem twice.
        once = {problem.id: problem for problem in candidates}
        fresh = [problem for key, problem in once.items() if key not in self._taken]
        candidates = next(some for some in (fresh, list(once.values()), candidates) if len(some) >= count)
        chosen = select(self._rates.estimate(candidates), count, tau=self._tau)
        picked = [candidates[i] for i in sorted(chosen)]
        self._taken.update(problem.id for problem in picked)
        return picked

    @property
    def epoch(self) -> float:
        """Passes over the data so far, candidates that were not taken included."""
        return self._pool.epoch

    def state_dict(self) -> dict[str, Any]:
        return self._pool.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._pool.load_state_dict(state)
