"""Calls of models take turns: one request may make a thousand of them, and the others are not to wait for all."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field

_asks: ContextVar[tuple[str, object]] = ContextVar("asks", default=("", None))
"""Whose calls these are: the client, and which of its requests."""


@contextlib.contextmanager
def asking(client: str) -> Iterator[None]:
    """Calls until the block is left, also those of tasks that begin in it, belong to one request of this client."""
    token = _asks.set((client, object()))
    try:
        yield
    finally:
        _asks.reset(token)


_Calls = deque[asyncio.Future[None]]


@dataclass
class Turns:
    """At most `most` calls are under way. Of those that wait, the next is one of another client, of this client one of
    another request, and of this request the oldest. For one event loop.
    """

    most: int
    under_way: int = 0
    _waiting: OrderedDict[str, OrderedDict[object, _Calls]] = field(default_factory=OrderedDict)

    @property
    def waiting(self) -> int:
        return sum(not call.done() for calls in self._waiting.values() for some in calls.values() for call in some)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """The body is one call. A caller that is cancelled while it waits waits no more."""
        await self._come_up()
        try:
            yield
        finally:
            self._pass_on()

    async def _come_up(self) -> None:
        if self.under_way < self.most:  # then nobody waits
            self.under_way += 1
            return
        client, request = _asks.get()
        call: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, OrderedDict()).setdefault(request, deque()).append(call)
        try:
            await call
        except asyncio.CancelledError:
            if not call.cancelled():  # its turn came as it left
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            call = self._next()
            if not call.done():
                call.set_result(None)
                return
        self.under_way -= 1

    def _next(self) -> asyncio.Future[None]:
        """The client and the request whose call this is are the last ones then."""
        client, requests = self._waiting.popitem(last=False)
        request, calls = requests.popitem(last=False)
        call = calls.popleft()
        if calls:
            requests[request] = calls
        if requests:
            self._waiting[client] = requests
        return call
