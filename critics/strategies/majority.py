"""The answer that most drafts give (self-consistency, arXiv:2203.11171): a vote without a critic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from critics.strategies.base import Play, StoppedBy, Strategy, check_counts, voted


@dataclass(frozen=True, kw_only=True)
class MajorityVote(Strategy):
    """See the module. `samples` drafts are written at once."""

    name: ClassVar[str] = "majority"
    summary: ClassVar[str] = "the answer that most drafts give, no critic"
    samples: int = 8

    def __post_init__(self) -> None:
        check_counts(samples=self.samples)

    async def play(self, play: Play) -> StoppedBy:
        drafts = await play.drafts(self.samples)
        play.best = voted(drafts, [1.0] * len(drafts))
        return "completed"
