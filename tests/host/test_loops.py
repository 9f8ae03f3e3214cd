"""Coroutines run to their end beside a loop that runs already."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest

from reasonrl.host.loops import run_to_end

PLACE = contextvars.ContextVar("place", default="nowhere")


async def seen() -> tuple[str, str]:
    await asyncio.sleep(0)
    return PLACE.get(), threading.current_thread().name


def test_without_a_loop_it_runs_here_and_with_one_in_a_thread() -> None:
    PLACE.set("here")
    assert run_to_end(seen()) == ("here", threading.current_thread().name)

    async def cell() -> Any:
        return run_to_end(seen())

    assert asyncio.run(cell()) == ("here", "event loop")


def test_what_it_raises_is_raised() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError("gone")

    async def cell() -> None:
        run_to_end(fails())

    with pytest.raises(KeyError, match="gone"):
        asyncio.run(cell())


def test_an_interrupt_cancels_it(monkeypatch: pytest.MonkeyPatch) -> None:
    began, cancelled = threading.Event(), threading.Event()

    async def waits() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    join = threading.Thread.join

    def interrupted(thread: threading.Thread, timeout: float | None = None) -> None:
        if thread.name == "event loop" and not cancelled.is_set() and began.wait(10):
            monkeypatch.setattr(threading.Thread, "join", join)
            raise KeyboardInterrupt
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", interrupted)

    async def cell() -> None:
        run_to_end(waits())

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(cell())
    assert cancelled.is_set()
