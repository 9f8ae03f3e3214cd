"""A vote in which each draft weighs as much as the critic believes in it (weighted self-consistency, arXiv:2206.02336).

A draft whose critiques could not be read weighs one half.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from critics.strategies.base import Play, StoppedBy, Strategy, check_counts, probability, voted


@dataclass(frozen=True, kw_only=True)
class WeightedVote(Strategy):
    """See the module. Each of `samples` drafts is judged `critiques` times."""

    name: ClassVar[str] = "weighted_vote"
    summary: ClassVar[str] = "a vote in which drafts weigh as much as the critic believes in them"
    samples: int = 8
    critiques: int = 1

    def __post_init__(self) -> None:
        check_counts(samples=self.samples, critiques=self.critiques)

    async def play(self, play: Play) -> StoppedBy:
        drafts = await play.drafts(self.samples)
        play.best = voted(drafts, [1.0] * len(drafts))
        judged = await play.critiques(drafts, self.critiques)
        beliefs = [probability(critiques) for critiques in judged]
        play.best = voted(drafts, [0.5 if belief is None else belief for belief in beliefs])
        return "completed"
