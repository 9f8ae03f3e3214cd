"""What is known of each problem: the rewards of its rollouts, and the success rate that they say (Knapsack RL,
arXiv:2509.25849, appendix).

The rate of a problem is the mean over its newest batch of rollouts; if that batch is smaller than `window`, over its
newest `window` rollouts, across batches. Fewer than `min_count` rollouts say nothing: the rate is None. So the estimate
is one pass over the data old, and the first pass has none: a value model (`value_model`) fills that in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

KEPT_BATCHES = 64


class SuccessHistory:
    """Rewards of the rollouts of each problem, by batch. A reward is a success (True) or not; what was not judged is
    left out.
    """

    def __init__(self, *, window: int = 16, min_count: int = 8) -> None:
        if window < 1 or min_count < 1:
            raise ValueError(f"history: window is {window} and min_count is {min_count}; both must be 1 or more")
        self.window, self.min_count = window, min_count
        self._batches: dict[str, list[str]] = {}
        """Newest last; a batch is a string of 0 and 1, as in the checkpoint."""

    def update(self, problem_id: str, successes: Sequence[bool]) -> None:
        """Adds one batch of rollouts."""
        if successes:
            batches = self._batches.setdefault(problem_id, [])
            batches.append("".join("1" if success else "0" for success in successes))
            del batches[:-KEPT_BATCHES]

    def count(self, problem_id: str) -> int:
        """Rollouts that are remembered."""
        return sum(map(len, self._batches.get(problem_id, [])))

    def rate(self, problem_id: str) -> float | None:
        """Success rate in [0, 1]; None below `min_count` rollouts."""
        newest_first = self.newest_first(problem_id)
        return (
            newest_first.count("1") / len(newest_first)
            if self.count(problem_id) >= self.min_count and newest_first
            else None
        )

    def newest_first(self, problem_id: str) -> str:
        """The rollouts that the rate is the mean of."""
        batches = self._batches.get(problem_id, [])
        if not batches or len(batches[-1]) >= self.window:
            return batches[-1][::-1] if batches else ""
        return "".join(batch[::-1] for batch in reversed(batches))[: self.window]

    def state_dict(self) -> dict[str, Any]:
        return {"batches": self._batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._batches = {key: list(batches) for key, batches in state["batches"].items()}
