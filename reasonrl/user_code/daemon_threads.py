"""Threads for blocking calls of the user's own, which keep neither an event loop nor the process from ending.

A loop waits at its end for the threads of `asyncio.to_thread`, and so does the interpreter: a call that hangs there
would make Ctrl-C wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")
_Work = tuple["Future[Any]", Callable[[], Any]]


class DaemonThreads(ThreadPoolExecutor):
    """An executor for `loop.set_default_executor`, with as many threads at most as the loop's own would have."""

    def __init__(self) -> None:
        super().__init__()  # starts nothing: `submit` is replaced
        self._most = min(32, (os.cpu_count() or 1) + 4)
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._started = 0
        self._starting = threading.Lock()

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        with self._starting:
            self._work.put((future, lambda: function(*arguments, **options)))
            if not self._idle.acquire(blocking=False) and self._started < self._most:
                threading.Thread(target=self._run, name="user call", daemon=True).start()
                self._started += 1
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Tells the threads to end when they have nothing to do. Waits for none."""
        with self._starting:
            for _ in range(self._started):
                self._work.put(None)
            self._started = 0

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            future, call = work
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # raised again where the result is awaited
                    future.set_exception(error)
            self._idle.release()


async def in_own_thread(function: Callable[[], Result]) -> Result:
    """What a blocking call returns or raises. It has a thread to itself, for which nobody waits who has left: a call
    that hangs takes no thread from others.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()
    context = contextvars.copy_context()

    def settle(call: Callable[[], None]) -> None:
        if not future.done():
            call()

    def run() -> None:
        try:
            value = context.run(function)
        except StopIteration:  # which no future can hold
            outcome = lambda: future.set_exception(RuntimeError("it raised StopIteration"))  # noqa: E731
        except BaseException as error:
            raised = error
            outcome = lambda: future.set_exception(raised)  # noqa: E731
        else:
            outcome = lambda: future.set_result(value)  # noqa: E731
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=run, name="user call", daemon=True).start()
    return await future
