"""Draw another draft until the critic accepts one, without telling the actor what was wrong. If it accepts none, all
drafts vote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from critics.strategies.base import Draft, Play, StoppedBy, Strategy, accepts, check_counts, voted


@dataclass(frozen=True, kw_only=True)
class Regenerate(Strategy):
    """See the module. At most `tries` drafts."""

    name: ClassVar[str] = "regenerate"
    summary: ClassVar[str] = "drafts are drawn until the critic accepts one"
    tries: int = 8

    def __post_init__(self) -> None:
        check_counts(tries=self.tries)

    async def play(self, play: Play) -> StoppedBy:
        drafts: list[Draft] = []
        for number in range(self.tries):
            drafts += await play.drafts(1, first=number)
            play.best = voted(drafts, [1.0] * len(drafts))
            ((critique,),) = await play.critiques(drafts[-1:])
            if accepts(critique):
                play.best = drafts[-1]
                return "accepted"
        return "rounds"
