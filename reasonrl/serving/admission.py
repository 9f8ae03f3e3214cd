"""How many requests may be under way, in all and of one client, and when to come back."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Iterator

from reasonrl.serving.shutdown import Shutdown


class Full(Exception):
    """No room for this request now."""

    def __init__(self, message: str, status: int, reason: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.status, self.reason, self.retry_after_s = status, reason, retry_after_s


def draining() -> Full:
    """Of a server that ends."""
    return Full("the server ends; ask another, or later", 503, "draining", 5)


class Admission:
    """Counts requests. For one event loop.

    Args:
        most: requests under way; beyond, 503.
        most_of_one: of one client; beyond, 429, so that the others are not held up.
    """

    def __init__(self, *, most: int = 256, most_of_one: int = 128) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._of: collections.Counter[str] = collections.Counter()
        self._starts: dict[object, tuple[str, float]] = {}
        """Whose requests are under way, and since when."""
        self._durations: collections.deque[float] = collections.deque(maxlen=32)
        """Seconds of the last requests that ended."""
        self._waiting: collections.deque[tuple[str, asyncio.Future[None]]] = collections.deque()
        self.is_draining = False
        self.shutdown = Shutdown()

    def drain(self, grace_s: float) -> None:
        """Lets nothing in any more. Plays that are under way have so many seconds left."""
        self.is_draining = True
        self.shutdown.begin(grace_s)

    @property
    def under_way(self) -> int:
        return self._of.total()

    @contextlib.contextmanager
    def enter(self, client: str) -> Iterator[None]:
        """Raises Full, also where a server that ends cancels what is still under way."""
        if self.is_draining:
            raise draining()
        if self.under_way >= self._most:
            raise Full(f"{self.under_way} requests are under way; ask again later", 503, "server", self._wait_s(None))
        if self._of[client] >= self._most_of_one:
            message = f"{self._of[client]} of your requests are under way; ask again later"
            raise Full(message, 429, "client", self._wait_s(client))
        self._of[client] += 1
        with self._place(client):
            yield

    @contextlib.asynccontextmanager
    async def in_turn(self, client: str) -> AsyncIterator[None]:
        """As `enter` for a client that takes "later" for an answer to its request: it waits until there is room, first
        come first served. Raises Full where the server ends.
        """
        if self.is_draining:
            raise draining()
        if self._has_room(client):
            self._of[client] += 1
        else:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((client, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled() and turn.exception() is None:  # its turn came as it left
                    self._leave(client)
                if not self.is_draining:
                    raise
                raise draining() from None
        with self._place(client):
            yield

    @contextlib.contextmanager
    def _place(self, client: str) -> Iterator[None]:
        """One that is counted already."""
        place, started = object(), time.monotonic()
        self._starts[place] = client, started
        try:
            yield
        except asyncio.CancelledError:
            if not self.is_draining:
                raise
            raise draining() from None
        finally:
            del self._starts[place]
            self._durations.append(time.monotonic() - started)
            self._leave(client)

    def _has_room(self, client: str) -> bool:
        return self.under_way < self._most and self._of[client] < self._most_of_one

    def _leave(self, client: str) -> None:
        """Gives the place to the first who may have it."""
        self._of[client] -= 1
        if not self._of[client]:
            del self._of[client]
        waiting, self._waiting = self._waiting, collections.deque()
        for name, turn in waiting:
            if turn.done():
                continue
            if self.is_draining:
                turn.set_exception(draining())
            elif self._has_room(name):
                self._of[name] += 1
                turn.set_result(None)
            else:
                self._waiting.append((name, turn))

    def _wait_s(self, client: str | None) -> float:
        """Until a place of this client, or of anybody, is free, if the oldest request takes as long as the last ones
        did; 1 s where none has ended yet.
        """
        starts = [start for name, start in self._starts.values() if client in (None, name)]
        if not self._durations or not starts:
            return 1.0
        left = statistics.median(self._durations) - (time.monotonic() - min(starts))
        return min(60.0, max(1.0, left))
