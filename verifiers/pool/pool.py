"""Worker processes that can be killed: for whatever reads untrusted text and may hang, crash or eat the memory.

    pool = WorkerPool("my_package.my_module:judge", workers=2, timeout_s=2.0)
    outcomes = pool.map(["1+1", "9^{9^{9^9}}"])      # [Outcome(status="ok", ...), Outcome(status="timeout", ...)]

A signal or a thread cannot stop sympy in the middle of a big power; the end of a process can. The workers are fresh
interpreters: they work whatever the parent is (a thread, asyncio through an executor, a forked child, a notebook, a
process that has torch loaded) and never run the parent's `__main__`. One daemon thread of the parent serves all
workers, so the workers die with it.

A worker is not a sandbox: it runs as the same user with the same files and network. It bounds time, memory and damage
to the parent.
"""

from __future__ import annotations

import dataclasses
import os
import pickle
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from verifiers.errors import PoolError
from verifiers.pool.limits import check_count, check_seconds, start_failure
from verifiers.pool.manager import Job, Manager
from verifiers.types import Status, Verdict

OutcomeStatus = Literal["ok", "timeout", "error", "crashed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item."""

    status: OutcomeStatus
    """ok: the function returned; error: it raised; timeout: killed at the deadline; crashed: the worker died of it."""
    value: Any
    """What the function returned, as JSON carries it (a tuple comes back as a list). None unless ok."""
    error: str
    """One line that says what went wrong; empty when ok."""
    seconds: float
    """Time on this item, start-up of the worker not included."""

    def verdict(
        self, judge: Callable[[Any], Verdict], *, method: str, task: str, extracted: str | None = None
    ) -> Verdict:
        """The verdict of an item that was sent to a worker: `judge(value)` with the worker's time if the function
        returned; TIMEOUT past the deadline; ERROR if it raised or its worker died.

        Args:
            judge: from what the function returned to a verdict. Called for status ok only.
            method: of a verdict that is not a judgement.
            task: begins the reason of such a verdict, e.g. "score_answer of chain_sum".
            extracted: what was read out of the response, for such a verdict.
        """
        if self.status == "ok":
            return dataclasses.replace(judge(self.value), seconds=self.seconds)
        status = Status.TIMEOUT if self.status == "timeout" else Status.ERROR
        reason = " ".join(f"{task}: {self.error}".split())
        return Verdict(None, None, status, extracted, method, reason, self.seconds)


class WorkerPool:
    """Calls one function on many items in worker processes. Thread-safe; a forked child starts workers of its own.

    Args:
        target: "module:function", imported in the worker. It takes one item and returns what JSON can carry.
        workers: how many processes at most. They start when first needed and are kept.
        timeout_s: deadline of one item, counted from when an idle worker is given it. Then its process group is killed.
        memory_limit_mb: address space of one worker, imports included (RLIMIT_AS). None for no limit.
        start_timeout_s: deadline of a worker's start-up (imports and initializer).
        initializer, initargs: "module:function" that is called once in each new worker, before the target is imported.
        recycle_after_items: a worker is replaced after this many items; also when its heap has grown half the way to
        the
            limit.
        max_answer_bytes: a longer answer makes the item an error.

    Raises:
        ValueError: an argument is invalid.
    """

    def __init__(
        self,
        target: str,
        *,
        workers: int = 2,
        timeout_s: float = 2.0,
        memory_limit_mb: int | None = 1024,
        start_timeout_s: float = 60.0,
        initializer: str | None = None,
        initargs: tuple[Any, ...] = (),
        recycle_after_items: int = 10_000,
        max_answer_bytes: int = 4 << 20,
    ) -> None:
        for name, value in (("target", target), ("initializer", initializer)):
            if value is not None and not all(value.partition(":")[::2]):
                raise ValueError(f"{name} is {value!r}; write it as package.module:function")
        check_seconds("timeout_s", timeout_s)
        check_seconds("start_timeout_s", start_timeout_s)
        check_count("workers", workers)
        if memory_limit_mb is not None:
            check_count("memory_limit_mb", memory_limit_mb)
        check_count("recycle_after_items", recycle_after_items)
        check_count("max_answer_bytes", max_answer_bytes)
        self.timeout_s = timeout_s
        self._workers = workers
        self._start_timeout_s = start_timeout_s
        self._config = {
            "target": target,
            "memory_limit_mb": memory_limit_mb,
            "initializer": initializer,
            "initargs": pickle.dumps(initargs),
            "recycle_after_items": recycle_after_items,
            "max_answer_bytes": max_answer_bytes,
        }
        self._closed = False
        self._lock = threading.Lock()
        self._manager: Manager | None = None
        self._stop: Callable[[], Any] | None = None
        _POOLS.add(self)

    def map(self, items: Sequence[Any], timeout_s: float | None = None) -> list[Outcome]:
        """Runs every item once and returns the outcomes in the order of the items. An item that kills its worker hurts
        no other.

        Args:
            items: anything that pickles, and that unpickles without the parent's `__main__`.
            timeout_s: deadline of each item in this call; by default that of the pool.

        Raises:
            PoolError: the workers do not start (the message holds the worker's own error), or the pool is closed.
            ValueError: `timeout_s` is not a number from 0.001 to 1,000,000.
        """
        timeout_s = self.timeout_s if timeout_s is None else timeout_s
        check_seconds("timeout_s", timeout_s)
        requests = [pickle.dumps(item, pickle.HIGHEST_PROTOCOL) for item in items]
        if not requests:
            return []
        job = Job(requests, timeout_s)
        self._running_manager().submit(job)
        try:
            job.done.wait()
        except BaseException:  # Ctrl-C: what has not begun is not begun any more
            job.cancelled = True
            raise
        if job.failure is not None:
            raise PoolError(job.failure)
        return [Outcome(*result) for result in job.results]

    @property
    def pids(self) -> list[int]:
        """Process ids of the live workers: for tests and for people who look at `ps`."""
        manager = self._manager
        return [] if manager is None else manager.pids()

    def close(self) -> None:
        """Kills the workers. Items under way end with a PoolError in the thread that waits for them."""
        with self._lock:
            self._closed = True
            if self._stop is not None:
                self._stop()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._config, self._workers, self.timeout_s, self._start_timeout_s)

    def _running_manager(self) -> Manager:
        with self._lock:
            if self._closed:
                raise PoolError("the worker pool is closed")
            if self._manager is None or not self._manager.alive:
                if self._stop is not None:
                    self._stop()
                # The path as it is now: what the caller can import, the worker can.
                path = [os.path.abspath(entry) for entry in sys.path]
                try:
                    manager = Manager({**self._config, "path": path}, self._workers, self._start_timeout_s)
                    manager.start()
                except (OSError, RuntimeError) as error:  # no file or no thread is left
                    raise PoolError(start_failure(error) or f"the worker pool cannot start: {error}") from error
                # The thread does not hold the pool, so a pool that is dropped is collected, and its workers end. Runs
                # at exit too.
                self._stop = weakref.finalize(self, manager.stop)
                self._manager = manager
            return self._manager

    def _after_fork(self) -> None:
        if isinstance(self._stop, weakref.finalize):
            self._stop.detach()
        if self._manager is not None:
            self._manager.abandon()
        # the lock may have been held by a thread that is not here
        self._lock, self._manager, self._stop = (
            threading.Lock(),
            None,
            None,
        )


def _rebuild(config: dict[str, Any], workers: int, timeout_s: float, start_timeout_s: float) -> WorkerPool:
    options = {**config, "initargs": pickle.loads(config["initargs"])}
    return WorkerPool(**options, workers=workers, timeout_s=timeout_s, start_timeout_s=start_timeout_s)


_POOLS: weakref.WeakSet[WorkerPool] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for pool in list(_POOLS):
        pool._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
