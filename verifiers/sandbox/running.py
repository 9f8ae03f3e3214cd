"""A program that runs in a sample, with the channel on which it makes its claims.

Whatever a program writes is taken as a claim of that program: it can make its own outcome worse, never another's, and
it never decides whether a row is masked. That (`Ending.STALLED`, `Ending.BROKEN`) is the supervisor's word alone. So
no claim may keep the supervisor from its watch, and none may keep the caller busy.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import time
from collections.abc import Callable
from typing import Any

from verifiers.sandbox.inside.channel import ClosedChannel, FrameReader, FrameTooLarge, order_of, receive, send_order
from verifiers.sandbox.inside.watch import PATIENCE
from verifiers.sandbox.outcomes import ending_of, named
from verifiers.sandbox.types import Ending, Limits, Outcome

_DECODER = json.JSONDecoder()
_GRACE_S = 30.0
"""So much later than the wall limit the caller stops waiting for the supervisor."""
_QUIET_S = 0.1
"""So long a call runs before the supervisor is told to watch: most have returned by then."""
_MESSAGE_BYTES = 1 << 16
_FRAME_BYTES = 1 << 16
"""What a frame may hold besides the value of a call."""
_SPARE_FRAMES = 8
"""Frames that a program may send unasked. An honest one sends at most two: late news of a process that has ended."""


class CellFailed(Exception):
    """The sandbox process did not do its part. It is thrown away."""


class Ended(Exception):
    """The program has ended; the supervisor's report."""

    def __init__(self, report: dict[str, Any]) -> None:
        super().__init__(str(report))
        self.report = report


class Control:
    """The line to the supervisor of a sample. The sample begins with the first order: one message less to wait for."""

    def __init__(self, begin: Callable[[dict[str, Any], tuple[int, ...]], None]) -> None:
        """`begin` sends the first order with its descriptors, and before those the other end of this line."""
        self.socket, self._inner = socket.socketpair()
        self._begin = begin
        self.has_begun = False

    def tell(self, order: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
        """Raises CellFailed."""
        if not self.has_begun:
            with self._inner:
                self._begin(order, (self._inner.fileno(), *descriptors))
            self.has_begun = True
            return
        try:
            send_order(self.socket, order, descriptors)
        except OSError as error:
            raise CellFailed(f"the supervisor is gone: {error}") from error

    def close(self) -> None:
        self._inner.close()
        self.socket.close()


class RunningProgram:
    """Started at once, in the sample that `control` leads to."""

    def __init__(
        self,
        control: Control,
        limits: Limits,
        kind: str,
        streams: tuple[int, ...] = (),
        output: int | None = None,
    ) -> None:
        """`streams`: standard input and output, for scripts. `output`: the end of the pipe that is read here."""
        self._control = control
        self._limits = limits
        self._output = output
        self._stdout = bytearray()
        self._data, inner = socket.socketpair()
        self._data.setblocking(False)
        with inner:
            control.tell({"start": kind}, (inner.fileno(), *streams))
        self._reader = FrameReader(limits.output_bytes * 2 + _FRAME_BYTES)
        self._frames: list[dict[str, Any]] = []
        self._spare = _SPARE_FRAMES
        self._unsent = bytearray()
        self._watched = self._ended = False
        self._raised: dict[str, Any] = {}
        self._stopped = ""
        self._renew()

    def _renew(self) -> None:
        self._deadline = time.monotonic() + PATIENCE * self._limits.wall_s + _GRACE_S

    def say(self, message: dict[str, Any]) -> None:
        """To the program. What the socket does not take at once is written while `next_frame` waits."""
        self._unsent += order_of(message)
        self._renew()
        self._write()

    def drop(self) -> None:
        """Stops listening. The program ends with its sample."""
        self._data.close()

    def end(self) -> None:
        """Ends the program if it still runs, so that another can start in the sample. Raises CellFailed."""
        if not self._ended:
            with contextlib.suppress(Ended):
                self._stop("closed")
                while True:
                    self._turn(max(0.0, self._deadline - time.monotonic()))
                    if time.monotonic() > self._deadline:
                        raise CellFailed("the supervisor did not end a program that it was told to end")
        self.drop()

    def _stop(self, reason: str) -> None:
        """From here on the program's claims are not read."""
        if not self._stopped:
            self._stopped = reason
            self._frames.clear()
            if not self._ended:
                self._control.tell({"stop": reason})

    def next_frame(self, *, watch: bool) -> dict[str, Any]:
        """The next claim of the program. Raises Ended with the supervisor's report; CellFailed.

        `watch`: the supervisor measures the time from here on, until `answered` is called.
        """
        while True:
            if self._frames:
                return self._frames.pop(0)
            first = watch and not self._watched
            self._turn(_QUIET_S if first else max(0.0, self._deadline - time.monotonic()))
            if time.monotonic() > self._deadline:
                raise CellFailed("the supervisor did not end a program that is past its limits")
            if first and not self._frames and not self._stopped:
                self._control.tell({"watch": True})
                self._watched = True

    def answered(self) -> None:
        """The claim that was waited for has come."""
        self._spare = _SPARE_FRAMES
        if self._watched:
            self._watched = False
            self._control.tell({"watch": False})

    def unasked(self) -> None:
        """A claim that nobody waits for. Many of them are no accident, and end the program."""
        self._spare -= 1
        if self._spare < 0:
            self._stop("garbage")

    def _turn(self, timeout: float) -> None:
        """One round of reading and writing. `poll`: a trainer has more files open than `select` can take."""
        poll = select.poll()
        poll.register(self._control.socket, select.POLLIN)
        data = self._data.fileno() if not self._stopped else -1
        if data >= 0:
            poll.register(data, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        output = self._output
        if output is not None and len(self._stdout) <= self._limits.output_bytes:
            poll.register(output, select.POLLIN)
        events = dict(poll.poll(timeout * 1000))
        readable = {number for number, event in events.items() if event & ~select.POLLOUT}
        if events.get(data, 0) & select.POLLOUT:
            self._write()
        if data in readable:
            self._read()
        if output in readable:
            self._drain(once=True)
        if self._control.socket.fileno() in readable and data not in readable:
            self._report()

    def _write(self) -> None:
        try:
            sent = self._data.send(self._unsent[: 1 << 16])
        except BlockingIOError:
            return
        except OSError:  # it closed its end: the supervisor will report how it ended
            self._unsent.clear()
            return
        del self._unsent[:sent]

    def _read(self) -> bool:
        """Whether anything came."""
        try:
            data = self._data.recv(1 << 16)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._data.close()
            return False
        try:
            for body in self._reader.feed(data):
                self._claim(body)
                if self._stopped:
                    return False
        except FrameTooLarge:
            self._stop("output")
            return False
        return True

    def _claim(self, body: bytes) -> None:
        try:
            frame = _DECODER.decode(body.decode("ascii"))  # an honest frame is written so
        except (ValueError, RecursionError):
            frame = None
        if not isinstance(frame, dict):
            self._stop("garbage")
        else:
            if "raised" in frame:
                self._raised = frame
            self._frames.append(frame)

    def _drain(self, once: bool = False) -> None:
        """Reads standard output, never more than the limit and one byte."""
        assert self._output is not None
        while True:
            room = self._limits.output_bytes + 1 - len(self._stdout)
            if room <= 0:
                self._stop("output")
                return
            try:
                data = os.read(self._output, min(room, 1 << 16))
            except BlockingIOError:
                return
            if not data:
                self._output = None
                return
            self._stdout += data
            if once and len(self._stdout) <= self._limits.output_bytes:
                return

    def _report(self) -> None:
        try:
            message = receive(self._control.socket, _MESSAGE_BYTES)
        except (OSError, ClosedChannel, ValueError) as error:
            raise CellFailed(f"the supervisor is gone: {error}") from error
        if "failed" in message:
            raise CellFailed(message["failed"])
        self._ended = True
        while self._data.fileno() >= 0 and not self._stopped and self._read():
            pass  # claims that were written before the end
        if self._output is not None:
            self._drain()
        self.drop()
        raise Ended(message)

    def outcome_of(self, report: dict[str, Any]) -> Outcome:
        """What the supervisor's report means for the program. Raises CellFailed."""
        if not report["has_begun"]:
            raise CellFailed(f"a program's process ended before the program began (exit status {report['ended']})")
        ending, error = ending_of(report, self._limits, self._stopped)
        exception = ""
        if len(self._stdout) > self._limits.output_bytes:
            ending, error = Ending.OUTPUT_LIMIT, f"more than {self._limits.output_bytes} bytes of output"
        if ending is Ending.ERROR and self._raised and self._stopped != "garbage":
            exception, error, _ = named(self._raised)
            if exception == "MemoryError":
                ending, error = Ending.MEMORY_LIMIT, f"more than {self._limits.memory_mb} MB of memory"
        stdout = bytes(self._stdout[: self._limits.output_bytes])
        return Outcome(ending, None, stdout, error, exception, report["cpu_s"], report["wall_s"])
