"""How many requests may be under way, in all and of one client, and when to come back."""

from __future__ import annotations

import asyncio
import collections
import contextlib
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
        self._ends: collections.deque[float] = collections.deque(maxlen=32)
        """When the last requests ended: how fast places come free."""
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
            raise Full(f"{self.under_way} requests are under way; ask again later", 503, "server", self._wait_s())
        if self._of[client] >= self._most_of_one:
            message = f"{self._of[client]} of your requests are under way; ask again later"
            raise Full(message, 429, "client", self._wait_s())
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
        try:
            yield
        except asyncio.CancelledError:
            if not self.is_draining:
                raise
            raise draining() from None
        finally:
            self._ends.append(time.monotonic())
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

    def _wait_s(self) -> float:
        """Until a place is free, at the pace of the last requests; 1 s where none has ended yet."""
        if len(self._ends) < 2:
            return 1.0
        pace = (time.monotonic() - self._ends[0]) / len(self._ends)
        return min(60.0, max(1.0, pace))
