"""The parent's handle on one worker process of `verifiers.pool.pool`: start it, send to it, read from it, kill its
process group.

Nothing here blocks: the pool's one managing thread serves all workers.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from typing import Any

from verifiers.pool import worker
from verifiers.pool.worker import HEADER

READ_BYTES = 1 << 18
STDERR_TAIL_BYTES = 2000
ENVIRONMENT = {  # one thread per worker, and the same hash order in every worker, so that sympy prints and orders alike
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class WorkerGone(Exception):
    """The worker closed its end. `unread` means that it never took the last request."""

    def __init__(self, unread: bool = False) -> None:
        super().__init__("the worker has gone")
        self.unread = unread


class BadFrame(Exception):
    """The worker sent something that does not answer its request."""


class WorkerProcess:
    """One worker. Owned by the managing thread; `config` is what `worker.start` reads."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.task: Any = None
        self.number = 0
        self.ready = False
        self.deadline = 0.0
        self.sent_at = 0.0
        self._max_frame = int(config["max_answer_bytes"]) + 4096
        self._inbox = bytearray()
        self._outbox = bytearray()
        self._stderr_tail = b""
        self._owner = os.getpid()
        self.sock, self._child_sock = socket.socketpair()
        try:
            self.stderr, stderr_write = os.pipe()
        except OSError:
            self.sock.close()
            self._child_sock.close()
            raise
        try:
            # -P: the script's own folder holds a package called math, which must not hide the one of the standard
            # library. No preexec_fn, so that subprocess uses vfork: the parent's memory is not copied, and other
            # threads do no harm.
            self._process = subprocess.Popen(
                [sys.executable, "-P", worker.__file__, str(self._child_sock.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr_write,
                pass_fds=[self._child_sock.fileno()],
                start_new_session=True,
                env={**os.environ, **ENVIRONMENT},
            )
        except BaseException:
            self.sock.close()
            os.close(self.stderr)
            raise
        finally:
            self._child_sock.close()
            os.close(stderr_write)
        self.sock.setblocking(False)
        os.set_blocking(self.stderr, False)
        # Sent when the manager sees that it can be: here a worker that is dead already could not be told from a bug.
        body = pickle.dumps({**config, "parent": self._owner})
        self._outbox += HEADER.pack(0, len(body)) + body

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def wants_write(self) -> bool:
        return bool(self._outbox)

    def send(self, task: Any, request: bytes, timeout_s: float) -> None:
        """Hands over one item; its time counts from here. Raises WorkerGone when the worker did not get it."""
        self.number += 1
        self.task = task
        self.sent_at = time.monotonic()
        self.deadline = self.sent_at + timeout_s
        self._outbox += HEADER.pack(self.number, len(request)) + request
        self.flush()

    def flush(self) -> None:
        """Writes what the socket takes. Raises WorkerGone."""
        try:
            while self._outbox:
                del self._outbox[: self.sock.send(memoryview(self._outbox)[:READ_BYTES])]
        except BlockingIOError:
            pass
        except OSError as error:
            raise WorkerGone(unread=True) from error

    def receive(self) -> tuple[bytes, bool] | None:
        """The answer to the request in flight, or None if it is not complete: (body, whether the worker retires).

        Raises:
            WorkerGone: the worker has closed its end.
            BadFrame: it sent too much, or what it was not asked for.
        """
        gone: WorkerGone | None = None
        try:
            while chunk := self.sock.recv(READ_BYTES):
                self._inbox += chunk
                if len(self._inbox) > self._max_frame:
                    raise BadFrame(f"the worker sent more than {self._max_frame} bytes")
            gone = WorkerGone()
        except BlockingIOError:
            pass
        except ConnectionError:
            gone = WorkerGone(unread=True)  # reset: it left a request unread
        frame = self._take_frame()
        if frame is None and gone is not None:
            raise gone
        return frame

    def _take_frame(self) -> tuple[bytes, bool] | None:
        if len(self._inbox) < HEADER.size:
            return None
        number, size = HEADER.unpack_from(self._inbox)
        if number != self.number or (self.ready and self.task is None) or size > self._max_frame:
            raise BadFrame(f"the worker sent frame {number} of {size} bytes when frame {self.number} was due")
        if len(self._inbox) < HEADER.size + size:
            return None
        if len(self._inbox) > HEADER.size + size:
            raise BadFrame("the worker answered one request more than once")
        body = bytes(self._inbox[HEADER.size :])
        self._inbox.clear()
        return (body[1:], body[:1] == b"!") if number else (body, False)

    def drain_stderr(self) -> bool:
        """Reads the worker's messages, so that it cannot block on them, and keeps the end. False once closed."""
        try:
            chunk = os.read(self.stderr, READ_BYTES)
        except BlockingIOError:
            return True
        self._stderr_tail = (self._stderr_tail + chunk)[-STDERR_TAIL_BYTES:]
        return bool(chunk)

    def kill(self) -> None:
        """SIGKILL to the whole process group. Does not wait."""
        if os.getpid() != self._owner:  # after a fork the worker belongs to the parent
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def reaped(self) -> bool:
        return self._process.poll() is not None

    def wait(self, timeout_s: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)

    def cause_of_death(self) -> str:
        """How it ended and its last words. Call after `kill`; waits for the kernel at most a second."""
        self.wait(1.0)
        code = self._process.returncode
        if code is None:
            how = "it does not die"
        elif code < 0:
            how = f"killed by {_signal_name(-code)}"
            if -code == signal.SIGKILL:
                how += ", which the system sends where its memory runs out"
        else:
            how = f"exit code {code}"
        with contextlib.suppress(OSError):
            self.drain_stderr()
        words = self._stderr_tail.decode(errors="replace").strip()
        return f"{how}: {words}" if words else how

    def close(self) -> None:
        """Closes the parent's ends. The worker, if alive, reads EOF."""
        self.sock.close()
        if self.stderr >= 0:
            os.close(self.stderr)
            self.stderr = -1

    def abandon(self) -> None:
        """In a forked child: let go of what belongs to the parent without touching the worker."""
        self._process.returncode = 0  # so that subprocess neither warns nor waits for a process that is not ours
        self._child_sock.close()
        self.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def read_answer(body: bytes) -> tuple[Any, str, float]:
    """(value, error, seconds) of an answer. Raises BadFrame if it is none."""
    try:
        value, error, seconds = json.loads(body)
        return value, str(error), float(seconds)
    except (ValueError, TypeError, RecursionError) as broken:
        raise BadFrame(f"the worker's answer cannot be read: {broken}") from broken
