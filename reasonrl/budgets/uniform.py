"""The same number of rollouts for every prompt."""

from __future__ import annotations

from collections.abc import Sequence


class UniformBudget:
    """Gives each problem `rollouts_per_prompt` rollouts. Holds no state."""

    def __init__(self, rollouts_per_prompt: int) -> None:
        self.rollouts_per_prompt = rollouts_per_prompt

    def allocate(self, problem_ids: Sequence[str]) -> list[int]:
        """Rollouts for each problem, in order."""
        return [self.rollouts_per_prompt] * len(problem_ids)
