"""Refine until accepted: the critic judges a draft, the actor writes it again with what the critic said, up to `rounds`
times (Critique-RL, arXiv:2510.24320; RefCritic, arXiv:2507.15024).

An unread critique gives no advice: the draft stays and is criticised again, which costs a round. CTRL's script refines
without looking at the judgement; here an accepted draft is final.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from critics.strategies.base import Play, StoppedBy, Strategy, accepts, check_counts, rejects


@dataclass(frozen=True, kw_only=True)
class RefineUntilAccepted(Strategy):
    """See the module."""

    name: ClassVar[str] = "refine"
    summary: ClassVar[str] = "a draft is written again until the critic accepts it"
    rounds: int = 3

    def __post_init__(self) -> None:
        check_counts(rounds=self.rounds)

    async def play(self, play: Play) -> StoppedBy:
        (draft,) = await play.drafts(1)
        play.best = draft
        unread = 0
        for _ in range(self.rounds):
            critique = (await play.critiques([draft], unread + 1))[0][unread]
            if accepts(critique):
                return "accepted"
            if rejects(critique):
                (draft,) = await play.refinements([(draft, critique)])
                play.best, unread = draft, 0
            else:
                unread += 1
        return "rounds"
