"""The draft in which the critic believes most (arXiv:2110.14168, section 4). Of equals the first; a draft whose
critiques could not be read stands between those that were accepted and those that were rejected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from critics.strategies.base import Play, StoppedBy, Strategy, check_counts, probability


@dataclass(frozen=True, kw_only=True)
class BestOfN(Strategy):
    """See the module. Each of `samples` drafts is judged `critiques` times."""

    name: ClassVar[str] = "best_of_n"
    summary: ClassVar[str] = "the draft in which the critic believes most"
    samples: int = 8
    critiques: int = 1

    def __post_init__(self) -> None:
        check_counts(samples=self.samples, critiques=self.critiques)

    async def play(self, play: Play) -> StoppedBy:
        drafts = await play.drafts(self.samples)
        play.best = drafts[0]
        judged = await play.critiques(drafts, self.critiques)
        beliefs = [probability(critiques) for critiques in judged]
        order = [0.5 if belief is None else belief for belief in beliefs]
        play.best = drafts[max(range(len(drafts)), key=lambda i: (drafts[i].answer is not None, order[i]))]
        return "completed"
