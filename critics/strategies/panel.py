"""Several critiques of one draft vote on it; if most reject it, the actor writes it again with the first of these, up
to `rounds` times. Unread critiques do not vote; a tie accepts nothing and rejects nothing, and ends the play.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from critics.strategies.base import Play, StoppedBy, Strategy, accepts, check_counts, rejects


@dataclass(frozen=True, kw_only=True)
class Panel(Strategy):
    """See the module."""

    name: ClassVar[str] = "panel"
    summary: ClassVar[str] = "several critiques vote on a draft, which is written again if most reject it"
    critiques: int = 3
    rounds: int = 2

    def __post_init__(self) -> None:
        check_counts(critiques=self.critiques, rounds=self.rounds)

    async def play(self, play: Play) -> StoppedBy:
        (draft,) = await play.drafts(1)
        play.best = draft
        for _ in range(self.rounds):
            (critiques,) = await play.critiques([draft], self.critiques)
            against = [critique for critique in critiques if rejects(critique)]
            votes_for = sum(map(accepts, critiques))
            if votes_for > len(against):
                return "accepted"
            if len(against) == votes_for:
                return "undecided"
            (draft,) = await play.refinements([(draft, against[0])])
            play.best = draft
        return "rounds"
