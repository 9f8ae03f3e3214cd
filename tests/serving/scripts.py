"""What the fake voices of these tests answer, and ways to wait and to look at a server's log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from reasonrl.serving.play import Cast
from reasonrl.serving.service import Service
from reasonrl.serving.voices import Chat, Voice
from tests.serving.fake_voices import FakeVoice, fake_cast

ACCEPTS = "Step sentence: it\nCorrectness of the step: Correct\nCorrectness of the final answer: Correct"
REJECTS = "Step sentence: it\nCorrectness of the step: Wrong\nCorrectness of the final answer: Wrong"


def echo(chat: Chat, seed: int) -> str:
    """Says which chat and which seed it is given, so that no answer can be taken for another's."""
    turns = " / ".join(f"{message['role']}: {message['content']}" for message in chat)
    return f"to [{turns}] with {seed}: \\boxed{{{seed % 5}}}"


def accepts_refinements(chat: Chat, seed: int) -> str:
    """Rejects a first draft, accepts a second: its chat names two assistants."""
    return ACCEPTS if chat[-1]["content"].count("assistant: ") else REJECTS


def fake_service(
    actor: Voice | None = None, critic: Voice | None = None, verifiers: Any = None, **options: Any
) -> Service:
    """An actor `solver` that echoes and a critic `judge` that accepts, unless others are given."""
    return Service(fake_players(actor, critic, **options), verifiers or {})


def fake_players(actor: Voice | None = None, critic: Voice | None = None, **options: Any) -> Cast:
    return fake_cast(
        actor or FakeVoice("solver", echo), critic or FakeVoice("judge", lambda chat, seed: ACCEPTS), **options
    )


def until(is_so: Callable[[], bool], seconds: float = 5.0) -> None:
    """Waits. Raises AssertionError when the time is over."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


@contextmanager
def server_log() -> Iterator[list[str]]:
    """Everything that is logged, with tracebacks."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Lines()
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
