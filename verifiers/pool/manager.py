"""The thread that serves all workers of a pool: hands out items, reads answers, watches deadlines, replaces the dead.

One thread, because the kernel ties a worker's life to the *thread* that started it (PR_SET_PDEATHSIG): workers that
were started by a short-lived caller would die with that caller.
"""

from __future__ import annotations

import collections
import json
import os
import selectors
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from verifiers.pool.limits import start_failure
from verifiers.pool.process import BadFrame, WorkerGone, WorkerProcess, read_answer

MAX_START_FAILURES = 3
MAX_ATTEMPTS = 3  # an item goes out again only if its worker died before it had read it

Result = tuple[Any, Any, str, float]


@dataclass(eq=False)
class Job:
    """One call of `map`: its pickled items, and where their results go."""

    requests: list[bytes]
    timeout_s: float
    done: threading.Event = field(default_factory=threading.Event)
    cancelled: bool = False
    failure: str | None = None

    def __post_init__(self) -> None:
        self.results: list[Any] = [None] * len(self.requests)
        self.open = len(self.requests)

    def settle(self, index: int, result: Result) -> None:
        self.results[index] = result
        self.open -= 1
        if not self.open:
            self.done.set()

    def fail(self, message: str) -> None:
        self.failure = message
        self.done.set()


@dataclass(eq=False, slots=True)
class Task:
    job: Job
    index: int
    attempts: int = 0

    def settle(self, status: str, value: Any, error: str, seconds: float) -> None:
        self.job.settle(self.index, (status, value, error, seconds))


class Manager:
    """Owns the workers. `submit` and `stop` may be called from any thread; everything else runs in the managing
    thread.
    """

    def __init__(self, config: dict[str, Any], max_workers: int, start_timeout_s: float) -> None:
        self._config = config
        self._max_workers = max_workers
        self._start_timeout_s = start_timeout_s
        self._lock = threading.Lock()  # guards _queue, _jobs and _stopping
        self._queue: collections.deque[Task] = collections.deque()
        self._jobs: set[Job] = set()
        self._stopping = False
        self._workers: list[WorkerProcess] = []
        self._dying: list[WorkerProcess] = []
        self._start_failures = 0
        self._warm = (
            0  # this many workers are kept ready: one that is killed is replaced at once, not when the next item comes
        )
        self._owner = os.getpid()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        # poll, not epoll: an epoll object is shared with forked children.
        self._selector = getattr(selectors, "PollSelector", selectors.DefaultSelector)()
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="verifiers-pool", daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._stopping

    def start(self) -> None:
        """Raises RuntimeError where the system has no thread left."""
        try:
            self._thread.start()
        except RuntimeError:
            self.abandon()
            raise

    def pids(self) -> list[int]:
        return [worker.pid for worker in list(self._workers)]

    def submit(self, job: Job) -> None:
        with self._lock:
            if self._stopping:
                job.fail("the worker pool was closed")
                return
            self._jobs.add(job)
            self._queue.extend(Task(job, index) for index in range(len(job.requests)))
        self._wake()

    def stop(self) -> None:
        """Ends the thread and the workers, and waits for both. Does nothing in a forked child."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            self._stopping = True
        self._wake()
        # A finalizer may run in any thread, this one too.
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def abandon(self) -> None:
        """In a forked child: closes the copies of the parent's ends, so that the parent alone holds its workers."""
        for worker in self._workers + self._dying:
            worker.abandon()
        self._selector.close()
        for fd in (self._wake_read, self._wake_write):
            if fd >= 0:
                os.close(fd)
        self._wake_read = self._wake_write = -1

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b".")
        except OSError:  # full: it will wake up anyway; closed: the thread has ended
            return

    # Everything below runs in the managing thread.

    def _run(self) -> None:
        reason = "the worker pool was closed"
        try:
            while not self._stopping:
                self._assign()
                self._serve(self._patience())
                self._expire()
                self._dying = [worker for worker in self._dying if not worker.reaped()]
        except BaseException as error:  # a bug: whoever waits must hear of it instead of waiting for ever
            reason = start_failure(error) or f"the pool's thread failed: {type(error).__name__}: {error}"
        finally:
            self._shut_down(reason)

    def _shut_down(self, reason: str) -> None:
        with self._lock:
            self._stopping = True
        for worker in list(self._workers):
            self._drop(worker)
        for worker in self._dying:
            worker.wait(5.0)
        self._fail_all(reason)
        self._selector.close()
        with self._lock:
            for fd in (self._wake_read, self._wake_write):
                os.close(fd)
            self._wake_read = self._wake_write = -1

    def _fail_all(self, message: str) -> None:
        with self._lock:
            self._queue.clear()
            jobs, self._jobs = self._jobs, set()
        for job in jobs:
            if not job.done.is_set():
                job.fail(message)

    def _next_task(self) -> Task | None:
        with self._lock:
            while self._queue:
                task = self._queue.popleft()
                if not task.job.cancelled and task.job.failure is None:
                    return task
                if task.job.cancelled:
                    self._jobs.discard(task.job)
            return None

    def _assign(self) -> None:
        """Gives the idle workers their next items, and starts workers for what still waits."""
        for worker in [worker for worker in self._workers if worker.ready and worker.task is None]:
            task = self._next_task()
            if task is None:
                break
            self._give(worker, task)
        starting = sum(not worker.ready for worker in self._workers)
        while len(self._workers) < self._max_workers and not self._stopping:
            if starting >= len(self._queue) and len(self._workers) >= self._warm:
                return
            starting += 1
            try:
                worker = WorkerProcess(self._config)
            except OSError as error:  # the machine has no room for one more
                if not self._workers:
                    self._fail_all(start_failure(error) or f"a worker process cannot be started: {error}")
                return
            worker.deadline = time.monotonic() + self._start_timeout_s
            self._workers.append(worker)
            self._selector.register(worker.sock, selectors.EVENT_READ, worker)
            self._selector.register(worker.stderr, selectors.EVENT_READ, worker)
            self._watch_writes(worker)

    def _give(self, worker: WorkerProcess, task: Task) -> None:
        task.attempts += 1
        try:
            worker.send(task, task.job.requests[task.index], task.job.timeout_s)
        except WorkerGone:
            self._lost(worker, unread=True)
        else:
            self._watch_writes(worker)

    def _watch_writes(self, worker: WorkerProcess) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.wants_write else 0)
        if self._selector.get_key(worker.sock).events != events:
            self._selector.modify(worker.sock, events, worker)

    def _patience(self) -> float | None:
        """Seconds until the next deadline; None for no limit. A dying worker is looked at every now and then."""
        deadlines = [worker.deadline for worker in self._workers if worker.task is not None or not worker.ready]
        if self._dying:
            deadlines.append(time.monotonic() + 0.05)
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _serve(self, timeout_s: float | None) -> None:
        for key, events in self._selector.select(timeout_s):
            worker = key.data
            if worker is None:
                os.read(self._wake_read, 4096)
            elif worker not in self._workers:
                continue  # dropped earlier in this round
            elif key.fileobj == worker.stderr:
                if not worker.drain_stderr():
                    self._selector.unregister(worker.stderr)
            else:
                self._attend(worker, events)

    def _attend(self, worker: WorkerProcess, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                worker.flush()
                self._watch_writes(worker)
            if events & selectors.EVENT_READ:
                self._read(worker)
        except WorkerGone as gone:
            self._lost(worker, gone.unread)
        except BadFrame as bad:
            self._drop(worker)
            self._bury(worker, str(bad))

    def _read(self, worker: WorkerProcess) -> None:
        frame = worker.receive()
        if frame is None:
            return
        body, retires = frame
        if not worker.ready:
            failure = json.loads(body)["failed"]
            if failure:
                self._warm = 0
                self._drop(worker)
                self._fail_all(f"a worker cannot start {self._config['target']}: {failure.strip()}")
                return
            worker.ready = True
            self._start_failures = 0
            self._warm = max(self._warm, sum(worker.ready for worker in self._workers))
            return
        value, error, seconds = read_answer(body)
        task, worker.task = worker.task, None
        if retires:
            self._drop(worker)
        self._settle(task, "error" if error else "ok", value, error, seconds)

    def _settle(self, task: Task, status: str, value: Any, error: str, seconds: float) -> None:
        task.settle(status, value, error, seconds)
        if task.job.done.is_set():
            with self._lock:
                self._jobs.discard(task.job)

    def _lost(self, worker: WorkerProcess, unread: bool) -> None:
        """The worker has closed its end."""
        self._drop(worker, close=False)
        task = worker.task
        if unread and task is not None and task.attempts < MAX_ATTEMPTS:
            with self._lock:
                self._queue.appendleft(task)
        else:
            self._bury(worker, worker.cause_of_death())
        worker.close()

    def _bury(self, worker: WorkerProcess, cause: str) -> None:
        if worker.task is not None:
            self._settle(worker.task, "crashed", None, cause, time.monotonic() - worker.sent_at)
        elif not worker.ready:
            self._start_failures += 1
            if self._start_failures >= MAX_START_FAILURES:
                self._start_failures = self._warm = 0
                limit = self._config["memory_limit_mb"]
                self._fail_all(
                    f"{MAX_START_FAILURES} workers in a row died while starting (memory_limit_mb is {limit}): {cause}"
                )

    def _expire(self) -> None:
        now = time.monotonic()
        for worker in list(self._workers):
            if now < worker.deadline or (worker.ready and worker.task is None):
                continue
            self._attend(worker, selectors.EVENT_READ)  # this thread may be late: an answer that is there counts
            if worker not in self._workers or (worker.ready and worker.task is None):
                continue
            self._drop(worker)
            if worker.ready:
                took = now - worker.sent_at
                self._settle(worker.task, "timeout", None, f"killed after {took:.1f} s", took)
            else:
                self._warm = 0
                self._fail_all(f"a worker did not start within {self._start_timeout_s:g} s ({self._config['target']})")

    def _drop(self, worker: WorkerProcess, close: bool = True) -> None:
        """Kills a worker and takes it off the list. Another one starts when there is work."""
        worker.kill()
        self._workers.remove(worker)
        self._selector.unregister(worker.sock)
        if worker.stderr in self._selector.get_map():
            self._selector.unregister(worker.stderr)
        if close:
            worker.close()
        self._dying.append(worker)
