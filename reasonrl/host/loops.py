"""Coroutines from code that is not async, also where an event loop runs already: in a notebook, in an async program."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_to_end(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of the coroutine, or what it raises. Where a loop runs in this thread, another thread has one for the
    coroutine, since to wait for it here would hold up the loop that it needs. An interrupt here cancels it.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    return _in_a_thread(coroutine)


def _in_a_thread(coroutine: Coroutine[Any, Any, Result]) -> Result:
    loop = asyncio.new_event_loop()
    task = loop.create_task(coroutine)

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(_ended(task))

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), name="event loop", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        with contextlib.suppress(RuntimeError):  # it has just ended
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    return task.result()


async def _ended(task: asyncio.Task[Any]) -> None:
    await asyncio.wait([task])
