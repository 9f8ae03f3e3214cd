"""One draft, and no critic: what the others are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from critics.strategies.base import Play, StoppedBy, Strategy


@dataclass(frozen=True, kw_only=True)
class Single(Strategy):
    """See the module."""

    name: ClassVar[str] = "single"
    summary: ClassVar[str] = "one draft, no critic"

    async def play(self, play: Play) -> StoppedBy:
        (play.best,) = await play.drafts(1)
        return "completed"
