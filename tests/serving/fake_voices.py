"""Scripted models, and the critic server with them in a thread."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from critics.formats import load_format
from reasonrl.engines.base import Sampling
from reasonrl.serving.admission import Admission
from reasonrl.serving.answers import VerifierReader
from reasonrl.serving.play import Cast
from reasonrl.serving.voices import Chat, Said, Voice
from verifiers.loading import load_verifier

Answers = Callable[[Chat, int], str]
_TOKEN = re.compile(r"\s*\S+|\s+")
"""A token of a fake voice: a word with the blanks before it."""


class FakeVoice:
    """A model that answers by a function. `reasonrl.serving.voices.Voice`.

    Args:
        answers: (chat, seed) -> text; what it raises, the model raises.
        delay_s: before each answer, and between the tokens of a streamed one.

    Attributes:
        calls: chat, sampling and seed of each call, in the order in which they began.
        ended: calls that gave an answer.
        cancelled: calls that were cancelled while they waited.
        closed: whether `close` was called.
    """

    def __init__(self, name: str, answers: Answers, delay_s: float = 0.0) -> None:
        self.name = name
        self.answers = answers
        self.delay_s = delay_s
        self.calls: list[tuple[Chat, Sampling, int]] = []
        self.ended = 0
        self.cancelled = 0
        self.closed = False

    async def say(self, chat: Chat, sampling: Sampling, seed: int) -> Said:
        said = self._begin(chat, sampling, seed)
        await self._wait()
        self.ended += 1
        return said

    async def stream(self, chat: Chat, sampling: Sampling, seed: int) -> AsyncGenerator[str | Said]:
        said = self._begin(chat, sampling, seed)
        for piece in _TOKEN.findall(said.text):
            await self._wait()
            yield piece
        self.ended += 1
        yield said

    async def close(self) -> None:
        self.closed = True

    def _begin(self, chat: Chat, sampling: Sampling, seed: int) -> Said:
        self.calls.append((list(chat), sampling, seed))
        prompt = sum(len(_TOKEN.findall(message["content"])) for message in chat)
        pieces = _TOKEN.findall(self.answers(chat, seed))
        shown = pieces[: sampling.max_new_tokens]
        return Said("".join(shown), "stop" if shown == pieces else "length", prompt, len(shown))

    async def _wait(self) -> None:
        try:
            await asyncio.sleep(self.delay_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def fake_cast(actor: Voice, critic: Voice, format_name: str = "step_sentence", critic_temperature: float = 0.0) -> Cast:
    """Both, with 256 tokens for each answer, and answers read as math."""
    return Cast(
        actor=actor,
        critic=critic,
        format=load_format(format_name),
        reader=VerifierReader(load_verifier("math", mode="lenient"), {"mode": "lenient"}),
        actor_sampling=Sampling(256, 0.7),
        critic_sampling=Sampling(256, critic_temperature),
    )


@contextmanager
def running_server(
    service: Any,
    *,
    keys: Sequence[str] = (),
    admission: Admission | None = None,
    limits: Any = None,
    keep_alive_s: int | None = None,
) -> Iterator[str]:
    """The address of a server on a free port of this machine, without a slash at the end.

    keep_alive_s: less than the clients' 5 s is for those alone who wait for the end of a connection.
    """
    pytest.importorskip("uvicorn", reason="uvicorn is not installed (extra: serve)")
    from reasonrl.serving.app import create_app
    from reasonrl.serving.guard import LOCAL_HOSTS, Guard
    from reasonrl.serving.metrics import ServerMetrics
    from reasonrl.serving.run import make_server

    admission = admission or Admission()
    app = create_app(service, admission, ServerMetrics())
    guarded = Guard(app, keys=keys, hosts=LOCAL_HOSTS, limits=limits)
    server = make_server(guarded, admission, log_config=None)
    server.config.timeout_keep_alive = keep_alive_s or server.config.timeout_keep_alive
    server.config.timeout_graceful_shutdown = 2
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        end = time.monotonic() + 10
        while not server.started:
            assert thread.is_alive() and time.monotonic() < end, "the server does not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
