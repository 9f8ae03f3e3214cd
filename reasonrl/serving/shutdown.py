"""At SIGTERM plays have the grace time left, whatever their deadline is; then they answer with the best they have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Shutdown:
    """Deadlines of what is under way, which the end of the server moves forward. For one event loop."""

    def __init__(self) -> None:
        self._end: float | None = None
        """By the clock of the event loop. None: the server does not end."""
        self._deadlines: set[asyncio.Timeout] = set()

    def begin(self, grace_s: float) -> None:
        """What is under way, and what begins from now on, has so many seconds left."""
        self._end = asyncio.get_running_loop().time() + grace_s
        for deadline in self._deadlines:
            if not deadline.expired():
                deadline.reschedule(self._sooner(deadline.when()))

    @asynccontextmanager
    async def deadline(self, seconds: float | None) -> AsyncIterator[asyncio.Timeout]:
        """As `asyncio.timeout`, or sooner. Raises TimeoutError."""
        now = asyncio.get_running_loop().time()
        async with asyncio.timeout_at(self._sooner(None if seconds is None else now + seconds)) as deadline:
            self._deadlines.add(deadline)
            try:
                yield deadline
            finally:
                self._deadlines.discard(deadline)

    def has_ended(self, deadline: asyncio.Timeout) -> bool:
        """Whether a deadline that has passed was that of the server."""
        return self._end is not None and deadline.when() == self._end

    def _sooner(self, when: float | None) -> float | None:
        if self._end is None or when is None:
            return self._end if when is None else when
        return min(self._end, when)
