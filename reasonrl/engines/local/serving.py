"""The local engine for requests that arrive when they like: a server's. Each joins the running batch at its next pass.

One thread computes, and takes what is new between two passes: requests, those that were cancelled, episodes that ended.
The caller's event loop is never held up. What a request gets is what `CachedEngine.generate_batch` gives it, whatever
else is in the batch.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from reasonrl.engines.base import Generation, Request, Sampling
from reasonrl.engines.local.engine import CachedEngine
from reasonrl.engines.local.rows import Rows
from reasonrl.errors import ModelError


class OverloadedError(Exception):
    """More requests wait than may."""


@dataclass(eq=False)
class _Ticket:
    number: int
    request: Request
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Generation]
    tokens: asyncio.Queue[int | None] | None
    """Of a stream; None ends it."""
    streamed: int = 0
    arrived: float = field(default_factory=time.monotonic)


@dataclass
class _News:
    """What happened since the last pass."""

    tickets: list[_Ticket] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    ended: list[Hashable] = field(default_factory=list)
    """Episodes."""
    closing: bool = False

    def __bool__(self) -> bool:
        return bool(self.tickets or self.cancelled or self.ended or self.closing)


class ServingEngine:
    """Use it as an async context manager, or call `close`. At most `most_waiting` requests may be under way.

    The engine is this one's alone while it runs.
    """

    def __init__(self, engine: CachedEngine, *, most_waiting: int = 1024) -> None:
        self._engine = engine
        self._most_waiting = most_waiting
        self.on_begin: Callable[[float], None] = lambda seconds: None
        """Is given how long each request waited until the first pass that computes it. Called in the thread."""
        self._numbers = itertools.count()
        self._under_way: dict[int, _Ticket] = {}
        """Belongs to the event loop."""
        self._changed = threading.Condition()
        self._news = _News()
        self._is_closed = False
        self._rows = engine.new_rows()
        self._not_begun: set[int] = set()
        """Tickets that wait for their first pass. Belongs to the thread."""
        self._thread = threading.Thread(target=self._run, name="serving engine", daemon=True)
        self._thread.start()

    async def __aenter__(self) -> ServingEngine:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Ends after the present pass; what is under way is cancelled."""
        with self._changed:
            self._news.closing = True
            self._changed.notify()
        self._thread.join()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive() and not self._is_closed

    async def generate(
        self,
        token_ids: Sequence[int],
        sampling: Sampling,
        seed: int,
        *,
        episode: Hashable = None,
        deadline_s: float | None = None,
    ) -> Generation:
        """One continuation of `token_ids`. A caller that is cancelled cancels its request.

        Raises:
            ValueError: a request that cannot be computed; the message names what is wrong with it.
            TimeoutError: it did not end within `deadline_s` seconds.
            OverloadedError: too many requests are under way.
            ModelError: the cache cannot hold the request.
        """
        async with self._ticket(Request(token_ids, sampling, seed, episode), stream=False) as ticket:
            return await asyncio.wait_for(asyncio.shield(ticket.answer), deadline_s)

    async def stream(
        self, token_ids: Sequence[int], sampling: Sampling, seed: int, *, episode: Hashable = None
    ) -> AsyncGenerator[int | Generation]:
        """The tokens of one continuation as they are drawn, and last the generation. Raises as `generate`. To close it
        early cancels it.
        """
        async with self._ticket(Request(token_ids, sampling, seed, episode), stream=True) as ticket:
            assert ticket.tokens is not None
            while (token := await ticket.tokens.get()) is not None:
                yield token
            yield await ticket.answer

    def end_episode(self, episode: Hashable) -> None:
        """The episode will not ask again."""
        hash(episode)  # a TypeError belongs to the caller, not to the thread
        self._tell(lambda news: news.ended.append(episode))

    @asynccontextmanager
    async def _ticket(self, request: Request, *, stream: bool) -> AsyncIterator[_Ticket]:
        self._engine.check(request)
        tokens = len(request.token_ids) + request.sampling.max_new_tokens
        if self._engine.positions is not None and tokens > self._engine.positions:
            raise ValueError(
                f"{len(request.token_ids)} tokens of the prompt and {request.sampling.max_new_tokens} new ones exceed"
                f" the {self._engine.positions} positions of the model"
            )
        if len(self._under_way) >= self._most_waiting:
            raise OverloadedError(f"{len(self._under_way)} requests are under way; ask again later")
        if not self._engine.fits(request):
            raise ModelError(
                f"rollout.cache_gib does not hold a request of {len(request.token_ids)} tokens and"
                f" {request.sampling.max_new_tokens} new ones. Write more, or ask for fewer new tokens"
            )
        loop = asyncio.get_running_loop()
        ticket = _Ticket(
            next(self._numbers),
            replace(request, token_ids=tuple(request.token_ids)),
            loop,
            loop.create_future(),
            asyncio.Queue() if stream else None,
        )
        self._tell(lambda news: news.tickets.append(ticket))
        self._under_way[ticket.number] = ticket
        try:
            yield ticket
        finally:
            del self._under_way[ticket.number]
            if not ticket.answer.done():
                ticket.answer.cancel()
                with contextlib.suppress(ModelError):  # closed: nothing runs any more
                    self._tell(lambda news: news.cancelled.append(ticket.number))

    def _tell(self, add: Callable[[_News], None]) -> None:
        with self._changed:
            if self._is_closed:
                raise ModelError("the engine is closed")
            add(self._news)
            self._changed.notify()

    # ---------------------------------------------------------------- in the thread

    def _run(self) -> None:
        rows, tickets = self._rows, dict[int, _Ticket]()
        try:
            while self._take_news(rows, tickets, wait=True):
                try:
                    with self._engine.decoding():
                        while not rows.is_done and self._take_news(rows, tickets, wait=False):
                            started = time.monotonic()
                            ended = self._engine.decode(rows)
                            self._count_begun(rows, tickets, started)
                            for number, generation in ended.items():
                                self._stream(tickets[number], generation.token_ids)
                                self._settle(tickets.pop(number), generation)
                            self._stream_live(rows, tickets)
                except Exception as error:  # each caller is given it
                    for ticket in tickets.values():
                        self._settle(ticket, error)
                    tickets.clear()
                rows.give_back()
                self._engine.give_memory_back()
                rows = self._engine.new_rows()
        finally:
            with self._changed:
                self._is_closed = True
                tickets |= {ticket.number: ticket for ticket in self._news.tickets}
            for ticket in tickets.values():
                self._settle(ticket, ModelError("the engine is closed"))

    def _take_news(self, rows: Rows, tickets: dict[int, _Ticket], *, wait: bool) -> bool:
        """False: the engine closes."""
        with self._changed:
            while wait and not self._news:
                self._changed.wait()
            news, self._news = self._news, _News(closing=self._news.closing)
        tickets |= {ticket.number: ticket for ticket in news.tickets}
        self._not_begun.update(ticket.number for ticket in news.tickets)
        for ticket in news.tickets:
            rows.add(ticket.number, ticket.request)
        for number in news.cancelled:
            tickets.pop(number, None)
            rows.cancel(number)
        for episode in news.ended:
            rows.end_episode(episode)
            self._engine.end_episode(episode)
        return not news.closing

    def _count_begun(self, rows: Rows, tickets: Mapping[int, _Ticket], started: float) -> None:
        """`started`: when the pass began that has just ended."""
        if not self._not_begun:
            return
        running = self._not_begun - rows.waiting
        self._not_begun -= running
        for number in running & tickets.keys():  # the others were cancelled
            self.on_begin(max(0.0, started - tickets[number].arrived))

    def _stream_live(self, rows: Rows, tickets: dict[int, _Ticket]) -> None:
        for row in rows.live:
            for response in row.responses:
                ticket = tickets[response.request]
                self._stream(ticket, row.tokens[len(ticket.request.token_ids) :])

    def _stream(self, one: _Ticket, tokens: Sequence[int]) -> None:
        if one.tokens is None:
            return
        for token in tokens[one.streamed :]:
            self._call(one, one.tokens.put_nowait, token)
        one.streamed = len(tokens)

    def _settle(self, one: _Ticket, result: Generation | Exception) -> None:
        def settle() -> None:
            if one.answer.done():
                return
            if isinstance(result, Exception):
                one.answer.set_exception(result)
            else:
                one.answer.set_result(result)
            if one.tokens is not None:
                one.tokens.put_nowait(None)

        self._call(one, settle)

    def _call(self, one: _Ticket, function: Callable[..., Any], *arguments: Any) -> None:
        try:
            one.loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # its loop is closed: nobody waits
            return
