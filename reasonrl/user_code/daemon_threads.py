"""Threads for blocking calls of the user's own, which keep neither an event loop nor the process from ending.

A loop waits at its end for the threads of `asyncio.to_thread`, and so does the interpreter: a call that hangs there
would make Ctrl-C wait for it.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

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
