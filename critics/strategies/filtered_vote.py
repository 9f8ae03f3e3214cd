"""A vote among the drafts that the critic does not reject (RefCritic, arXiv:2507.15024, section 4.3). Where it rejects
all of them, all vote. An unread critique rejects nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from critics.strategies.base import Play, StoppedBy, Strategy, check_counts, rejects, voted


@dataclass(frozen=True, kw_only=True)
class FilteredVote(Strategy):
    """See the module. Each of `samples` drafts is judged once."""

    name: ClassVar[str] = "filtered_vote"
    summary: ClassVar[str] = "a vote among the drafts that the critic does not reject"
    samples: int = 8

    def __post_init__(self) -> None:
        check_counts(samples=self.samples)

    async def play(self, play: Play) -> StoppedBy:
        drafts = await play.drafts(self.samples)
        play.best = voted(drafts, [1.0] * len(drafts))
        critiques = await play.critiques(drafts)
        chosen = [draft for draft, (critique,) in zip(drafts, critiques, strict=True) if not rejects(critique)]
        if any(draft.answer is not None for draft in chosen):
            play.best = voted(chosen, [1.0] * len(chosen))
            return "completed"
        return "all_rejected"
