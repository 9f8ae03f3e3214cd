"""Answers as server-sent events. Every data line is a chunk, for OpenAI's client ignores the names of events."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager, aclosing
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from reasonrl.serving.admission import Full
from reasonrl.serving.clients import ClientLeft, unless_client_leaves
from reasonrl.serving.errors import describe_error
from reasonrl.serving.guard import error_body, error_kind
from reasonrl.serving.metrics import ServerMetrics
from reasonrl.serving.schemas import ChatRequest
from reasonrl.serving.service import Answer, Service, seeds_of
from reasonrl.serving.usage import Usage
from reasonrl.serving.voices import reason_for_log

Piece = TypeVar("Piece")
KEEP_ALIVE_S = 15.0
"""Proxies cut silent connections after 30 to 60 s."""
_REFUSAL_S = 0.25
"""So long progress is held back. A model refuses a prompt at once, and only what has not begun can have a status."""
_log = logging.getLogger(__name__)


class StreamFailed(Exception):
    """In its middle. The client has been told."""


class EventStream(Response):
    """Sends events until they end or the client leaves. What fails before the first one is answered with its status.

    Args:
        events: of one answer; closed, and with them every hidden call, however this ends.
        place: entered before the first event, and left when all is sent.
    """

    media_type = "text/event-stream"

    def __init__(
        self, events: Callable[[], AsyncGenerator[str]], place: Callable[[], AbstractContextManager[None]]
    ) -> None:
        super().__init__(headers={"x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._events, self._place = events, place
        self._has_begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._place():
                await unless_client_leaves(Request(scope, receive), self._send(send))
        except (ClientLeft, StreamFailed):
            pass
        except Full as full:
            if not self._has_begun:
                raise
            event = f"data: {json.dumps(error_body(str(full), error_kind(full.status)))}\n\n"
            await send({"type": "http.response.body", "body": event.encode(), "more_body": False})

    async def _send(self, send: Send) -> None:
        async with aclosing(self._events()) as events:
            event = await anext(events)
            self._has_begun = True
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
            try:
                async for event in events:
                    await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
            except StreamFailed:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                raise
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def chat_events(
    service: Service, body: ChatRequest, seed: int, head: dict[str, Any], metrics: ServerMetrics
) -> AsyncGenerator[str]:
    """Of all choices, whose pieces come as they are written. `head`: of every chunk. Raises StreamFailed; before the
    first event, as `Service.answer`.
    """

    def data(content: dict[str, Any]) -> str:
        return f"data: {json.dumps(content)}\n\n"

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None, **more: Any) -> str:
        choice = {"index": index, "delta": delta, "finish_reason": finish, "logprobs": None, **more}
        return data(head | {"choices": [choice], "reasonrl": {"seed": seed}})

    started, shown, has_content = time.monotonic(), set[int](), False
    answers: dict[int, Answer] = {}
    choices = [_deltas(service, body, choice_seed) for choice_seed in seeds_of(body, seed)]
    try:
        async with aclosing(_with_silences(_merged(choices))) as pieces:
            async for each in pieces:
                for index in range(body.n) if each is None else each[:1]:
                    if index not in shown:
                        shown.add(index)
                        yield chunk(index, {"role": "assistant", "content": ""})
                if each is None:
                    yield ": keep-alive\n\n"
                    continue
                index, piece = each
                if isinstance(piece, Answer):
                    answers[index] = piece
                    facts = {"reasonrl": dict(piece.facts)} if piece.facts else {}
                    yield chunk(index, {}, piece.finish_reason, **facts)
                    continue
                if "content" in piece and not has_content:
                    has_content = True
                    metrics.first_token.observe(time.monotonic() - started)
                yield chunk(index, piece)
    except Exception as error:
        if not shown:
            raise
        status, message, param = describe_error(error)
        if status == 500:
            _log.exception("a stream failed")
        elif status == 502:
            _log.warning("a stream failed: %s", reason_for_log(error))
        yield data(error_body(message, error_kind(status), param))
        raise StreamFailed from None
    usage = Usage()
    for answer in answers.values():
        usage.merge(answer.usage)
        metrics.count_answer(answer)
    if body.stream_options is not None and body.stream_options.include_usage:
        tokens = sum(answer.tokens for answer in answers.values())
        yield data(head | {"choices": [], "usage": usage.to_json(shown=tokens)})
    yield "data: [DONE]\n\n"


async def _merged(streams: Sequence[AsyncGenerator[Piece]]) -> AsyncGenerator[tuple[int, Piece]]:
    """Pieces of all streams with the number of theirs, in the order in which they come. The first that fails, fails;
    however it ends, all are closed.
    """
    if len(streams) == 1:
        async with aclosing(streams[0]) as stream:
            async for piece in stream:
                yield 0, piece
        return
    arrived: asyncio.Queue[tuple[int, Piece] | Exception | None] = asyncio.Queue(maxsize=len(streams))

    async def read(number: int, stream: AsyncGenerator[Piece]) -> None:
        try:
            async with aclosing(stream):
                async for piece in stream:
                    await arrived.put((number, piece))
            await arrived.put(None)
        except Exception as error:
            await arrived.put(error)

    tasks = [asyncio.create_task(read(number, stream)) for number, stream in enumerate(streams)]
    try:
        left = len(tasks)
        while left:
            item = await arrived.get()
            if item is None:
                left -= 1
            elif isinstance(item, Exception):
                raise item
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _deltas(service: Service, body: ChatRequest, seed: int) -> AsyncGenerator[dict[str, Any] | Answer]:
    """What chunks add to the message, and last the answer."""
    if service.target(body).strategy is None:
        async with aclosing(service.stream(body, seed)) as pieces:
            async for piece in pieces:
                yield {"content": piece} if isinstance(piece, str) else piece
        return
    wants_progress = body.reasonrl is None or body.reasonrl.progress
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    task = asyncio.create_task(service.answer(body, seed, lines.put_nowait))
    task.add_done_callback(lambda _: lines.put_nowait(None))
    try:
        if (await asyncio.wait({task}, timeout=_REFUSAL_S))[0]:
            task.result()
        while (line := await lines.get()) is not None:
            if wants_progress:
                yield {"reasoning": f"{line}\n", "reasoning_content": f"{line}\n"}
        answer = await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    yield {"content": answer.text}
    yield answer


async def _with_silences(pieces: AsyncGenerator[Piece]) -> AsyncGenerator[Piece | None]:
    """None wherever nothing has come for a while."""
    async with aclosing(pieces):
        while True:
            task = asyncio.ensure_future(anext(pieces, None))
            try:
                while not (await asyncio.wait({task}, timeout=KEEP_ALIVE_S))[0]:
                    yield None
                piece = await task
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            if piece is None:
                return
            yield piece
