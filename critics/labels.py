"""Labels for steps without people: Monte Carlo completions (Math-Shepherd, arXiv:2312.08935; DeepCritic,
arXiv:2505.00662).

From the prefix that ends in each step a solver continues several times; how often it arrives says whether the prefix is
still sound. The rule by which DeepCritic makes a label of these counts is not in its repository. Ours: the first wrong
step is the first one from which (almost) nobody arrives, provided that before it the solver mostly did; where that is
not so the solution has no label, rather than a doubtful one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class MonteCarloRule:
    sound_from: float = 0.5
    """Share of completions that arrive from a prefix that counts as sound."""
    lost_up_to: float = 0.0
    """Share of completions that arrive from a prefix that counts as lost."""

    def __post_init__(self) -> None:
        if not 0 <= self.lost_up_to < self.sound_from <= 1:
            raise ValueError(
                f"lost_up_to is {self.lost_up_to} and sound_from {self.sound_from}; they must satisfy"
                " 0 <= lost_up_to < sound_from <= 1"
            )


def first_error(
    rates: Sequence[float], correct: bool, rule: MonteCarloRule | None = None, *, start: float | None = None
) -> int | None:
    """The label of a solution: index of the first wrong step from 0, -1 for none, None where the counts do not tell.

    Args:
        rates: share of completions that arrive after step 0, 1, ...
        correct: whether the solution's own answer is right.
        start: share that arrives from the bare problem; without it the problem counts as one that the solver can do.

    Raises:
        ValueError: no rates, or one outside [0, 1].
    """
    rule = rule or MonteCarloRule()
    if not rates or any(not 0 <= rate <= 1 for rate in rates):
        raise ValueError(f"rates must be success rates in [0, 1], one for each step, not {list(rates)}")
    lost = [rate <= rule.lost_up_to for rate in rates]
    if correct:
        # The solution arrived, so a prefix that looks lost is merely hard to continue from.
        return -1 if not any(lost[:-1]) else None
    if not any(lost):
        return None
    index = lost.index(True)
    before = rates[index - 1] if index else start
    if before is not None and before < rule.sound_from:
        return None
    return index if all(lost[index:]) else None
