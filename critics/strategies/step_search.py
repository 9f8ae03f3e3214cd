"""Step search: what stands before the first step that the critic calls wrong is kept, and the actor goes on from there,
at most `tries` times from the same step (SPC, arXiv:2504.19162, section 4.3).

SPC's critic judges every step when it is written. Here it judges the whole solution and names the first wrong step,
which asks for one critique where that asks for one a step. A rejection that names no step begins anew.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from critics.strategies.base import Play, StoppedBy, Strategy, accepts, check_counts, rejects


@dataclass(frozen=True, kw_only=True)
class StepSearch(Strategy):
    """See the module. At most `rounds` critiques."""

    name: ClassVar[str] = "step_search"
    summary: ClassVar[str] = "the actor goes on from the step before the first one that the critic calls wrong"
    rounds: int = 16
    tries: int = 5

    def __post_init__(self) -> None:
        check_counts(rounds=self.rounds, tries=self.tries)

    async def play(self, play: Play) -> StoppedBy:
        (draft,) = await play.drafts(1)
        play.best = draft
        unread, tries = 0, Counter[int]()
        for _ in range(self.rounds):
            critique = (await play.critiques([draft], unread + 1))[0][unread]
            if accepts(critique):
                return "accepted"
            if not rejects(critique):
                unread += 1
                continue
            wrong = max(0, critique.first_error or 0)
            if tries[wrong] == self.tries:
                return "all_rejected"
            tries[wrong] += 1
            (draft,) = await play.continuations([(draft, wrong)])
            play.best, unread = draft, 0
        return "rounds"
