"""The caller's side of one sandbox process: starts it, hands it samples, and reads what comes back.

Whatever a program writes is taken as a claim of that program: it can make its own outcome worse, never another's, and
it never decides whether a row is masked. That (`Ending.STALLED`, `Ending.BROKEN`) is the supervisor's word alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import IO, Any, Protocol

from verifiers.sandbox.inside.channel import ClosedChannel, FrameReader, FrameTooLarge, frame_of, receive, send
from verifiers.sandbox.types import Call, Ending, Input, Limits, Outcome, SandboxUnavailable, Stdin
from verifiers.sandbox.values import Malformed, TooLarge, decode, encode

_START_S = 60.0
_END_S = 20.0
_GRACE_S = 30.0
"""So much later than the wall limit the caller stops waiting for the supervisor."""
_QUIET_S = 0.1
"""So long a call runs before the supervisor is told to watch: most have returned by then."""
_MESSAGE_BYTES = 1 << 16
_FRAME_BYTES = 1 << 16
"""What a frame may hold besides the value of a call."""


class CellFailed(Exception):
    """The sandbox process did not do its part. It is thrown away."""


class Process(Protocol):
    """What a layer started: as `subprocess.Popen`."""

    pid: int

    def kill(self) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...


class Cell:
    """One warm sandbox process. Takes one sample at a time; not safe to use from two threads at once."""

    def __init__(self, launch: Callable[[int, IO[bytes]], Process], layer: dict[str, Any], errors: IO[bytes]) -> None:
        """Raises SandboxUnavailable with what the layer's own program said."""
        self._errors = errors
        self._channel, inner = socket.socketpair()
        with inner:
            self._process = launch(inner.fileno(), errors)
        self._channel.settimeout(_START_S)
        try:
            send(self._channel, layer)
            answer, _ = receive(self._channel, _MESSAGE_BYTES)
        except (OSError, ClosedChannel, ValueError) as error:
            self.kill()
            raise SandboxUnavailable(self._said() or f"the sandbox process did not start: {error}") from error
        self.python: str = answer["ready"]

    @property
    def pid(self) -> int:
        return self._process.pid

    def _said(self) -> str:
        """The last line on the standard error of the process."""
        self._errors.seek(0)
        lines = self._errors.read(1 << 16).decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    @contextlib.contextmanager
    def sample(self, limits: Limits, *, share_process: bool) -> Iterator[Sample]:
        """Fresh namespaces for one sample. When the block is left, all its processes are dead. Raises CellFailed."""
        outer, inner = socket.socketpair()
        settings = asdict(limits) | {"wall_s": limits.wall_s, "share": share_process}
        with outer:
            with inner:
                self._tell(settings, (inner.fileno(),))
            sample = Sample(outer, limits)
            try:
                yield sample
            finally:
                sample.close()
        self._channel.settimeout(_END_S)
        try:
            receive(self._channel, _MESSAGE_BYTES)
        except (OSError, ClosedChannel, ValueError) as error:
            raise CellFailed(f"a sample did not end: {error}") from error

    def _tell(self, message: Any, descriptors: tuple[int, ...]) -> None:
        try:
            send(self._channel, message, descriptors)
        except OSError as error:
            raise CellFailed(self._said() or f"the sandbox process is gone: {error}") from error

    def kill(self) -> None:
        self._channel.close()
        self._process.kill()
        self._process.wait()
        self._errors.close()


class _Ended(Exception):
    """The program has ended; the supervisor's report."""

    def __init__(self, report: dict[str, Any]) -> None:
        super().__init__(str(report))
        self.report = report


class Sample:
    """One program and all its inputs."""

    def __init__(self, control: socket.socket, limits: Limits) -> None:
        self._control = control
        self._limits = limits
        self._program: _Program | None = None
        self._load_failure: Outcome | None = None

    def close(self) -> None:
        if self._program:
            self._program.close()
            self._program = None

    def run(self, source: str, inputs: Sequence[Input]) -> Iterator[Outcome]:
        """One outcome for each input, in order. Raises CellFailed."""
        for number, wanted in enumerate(inputs):
            yield self.script(source, wanted) if isinstance(wanted, Stdin) else self.call(source, wanted, number)

    def script(self, source: str, wanted: Stdin) -> Outcome:
        """One run of the program with a text on its standard input. Raises CellFailed."""
        stdin = os.memfd_create("stdin")
        output, stdout = os.pipe()
        try:
            with open(stdin, "wb", closefd=False) as file:
                file.write(wanted.text.encode("utf-8", "surrogateescape"))
            os.lseek(stdin, 0, os.SEEK_SET)
            os.set_blocking(output, False)
            program = _Program(self._control, self._limits, "script", (stdin, stdout), output)
        finally:
            os.close(stdin)
            os.close(stdout)
        try:
            program.say({"source": source})
            while True:
                program.next_frame(watch=False)
        except _Ended as ended:
            return program.outcome_of(ended.report)
        finally:
            program.close()
            os.close(output)

    def call(self, source: str, wanted: Call, number: int) -> Outcome:
        """One call of a function of the program, which is started if it does not run. Raises CellFailed."""
        started = time.monotonic()
        if self._load_failure is not None:  # the module's own lines fail, so every call does
            return self._load_failure
        if self._program is None:
            self._program = _Program(self._control, self._limits, "calls")
            self._program.say({"source": source})
            if (failed := self._answer(self._program, lambda frame: "ready" in frame, started)) is not None:
                self._load_failure = failed if failed.is_judged else None
                return failed
        program = self._program
        arguments = encode((wanted.args, wanted.kwargs))
        program.say({"call": number, "function": wanted.function, "args": arguments})
        answers: list[dict[str, Any]] = []

        def is_answer(frame: dict[str, Any]) -> bool:
            if frame.get("call") == number:
                answers.append(frame)
            return bool(answers)

        failed = self._answer(program, is_answer, started)
        return failed if failed is not None else _outcome_of_call(answers[0], started)

    def tests(self, source: str, functions: Sequence[str], ask: Callable[[Call], Outcome]) -> Outcome:
        """Runs test text; what it calls of `functions` is asked of the caller. Raises CellFailed."""
        started = time.monotonic()
        program = self._program = _Program(self._control, self._limits, "tests")
        program.say({"source": source, "functions": list(functions)})
        try:
            while True:
                frame = program.next_frame(watch=True)
                if "passed" in frame:
                    return Outcome(Ending.FINISHED, value=True, wall_s=time.monotonic() - started)
                if "raised" in frame:
                    return _raised(frame, started)
                if "ask" in frame:
                    args, kwargs = decode(frame["args"])
                    outcome = ask(Call(frame["function"], args, kwargs))
                    program.say(
                        {"value": encode(outcome.value)}
                        if outcome.ending is Ending.FINISHED
                        else {"raised": [outcome.exception or "RuntimeError", outcome.error]}
                    )
        except _Ended as ended:
            self._program = None
            return program.outcome_of(ended.report)

    def shared(self, source: str, tests: str, secret: str) -> Outcome:
        """Runs test text in the program's own process, which must give the secret back. Raises CellFailed."""
        started = time.monotonic()
        program = self._program = _Program(self._control, self._limits, "shared")
        program.say({"source": source})
        if (failed := self._answer(program, lambda frame: "ready" in frame, started)) is not None:
            return failed
        program.say({"tests": tests, "secret": secret})
        if (failed := self._answer(program, lambda frame: frame.get("passed") == secret, started)) is not None:
            return failed
        return Outcome(Ending.FINISHED, value=True, wall_s=time.monotonic() - started)

    def _answer(self, program: _Program, is_answer: Callable[[dict[str, Any]], bool], started: float) -> Outcome | None:
        """Waits for a frame of the program; an outcome if it fails first."""
        try:
            while True:
                frame = program.next_frame(watch=True)
                if "raised" in frame and "call" not in frame:
                    program.close()
                    self._program = None
                    return _raised(frame, started)
                if is_answer(frame):
                    return None
        except _Ended as ended:
            self._program = None
            return program.outcome_of(ended.report)


class _Program:
    """The program that runs in a sample, with the channel on which it makes its claims."""

    def __init__(
        self,
        control: socket.socket,
        limits: Limits,
        kind: str,
        streams: tuple[int, ...] = (),
        output: int | None = None,
    ) -> None:
        self._control = control
        self._limits = limits
        self._output = output
        self._stdout = bytearray()
        self._data, inner = socket.socketpair()
        self._data.setblocking(False)
        with inner:
            try:
                send(control, {"start": kind}, (inner.fileno(), *streams))
            except OSError as error:
                raise CellFailed(f"the supervisor is gone: {error}") from error
        self._reader = FrameReader(limits.output_bytes * 2 + _FRAME_BYTES)
        self._frames: list[dict[str, Any]] = []
        self._unsent = bytearray()
        self._begun = self._closed = False
        self._raised: dict[str, Any] = {}
        self._deadline = time.monotonic() + limits.wall_s + _GRACE_S
        self._stopped = ""

    def say(self, message: dict[str, Any]) -> None:
        self._unsent += frame_of(message)
        self._deadline = time.monotonic() + self._limits.wall_s + _GRACE_S

    def close(self) -> None:
        """Ends the program if it still runs. The supervisor's report is read and dropped."""
        if self._closed:
            return
        if self._data.fileno() >= 0:
            with contextlib.suppress(_Ended, OSError):
                self._stop("closed")
                while True:
                    self.next_frame(watch=False)
        self._end()

    def _end(self) -> None:
        self._closed = True
        self._data.close()

    def _stop(self, reason: str) -> None:
        if not self._stopped:
            self._stopped = reason
            send(self._control, {"stop": reason})

    def next_frame(self, *, watch: bool) -> dict[str, Any]:
        """The next claim of the program. Raises _Ended with the supervisor's report; CellFailed."""
        watching = False
        try:
            while True:
                if self._frames:
                    return self._frames.pop(0)
                self._turn(_QUIET_S if watch and not watching else max(0.0, self._deadline - time.monotonic()))
                if time.monotonic() > self._deadline:
                    raise CellFailed("the supervisor did not end a program that is past its limits")
                if watch and not watching and not self._frames:
                    send(self._control, {"watch": True})
                    watching = True
        except _Ended:
            watching = False
            raise
        finally:
            if watching:
                send(self._control, {"watch": False})

    def _turn(self, timeout: float) -> None:
        """One round of reading and writing."""
        readable: list[Any] = [self._control]
        if self._data.fileno() >= 0:
            readable.append(self._data)
        if self._output is not None and len(self._stdout) <= self._limits.output_bytes:
            readable.append(self._output)
        writable = [self._data] if self._unsent and self._data.fileno() >= 0 else []
        ready, can_write, _ = select.select(readable, writable, [], timeout)
        if can_write:
            self._write()
        if self._data in ready:
            self._read()
        if self._output is not None and self._output in ready:
            self._drain(once=True)
        if self._control in ready and self._data not in ready:
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

    def _read(self) -> None:
        try:
            data = self._data.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._data.close()
            return
        try:
            bodies = self._reader.feed(data)
        except FrameTooLarge:
            self._stop("output")
            return
        for body in bodies:
            self._claim(body)

    def _claim(self, body: bytes) -> None:
        try:
            frame = json.loads(body)
        except (ValueError, RecursionError):
            frame = None
        if not isinstance(frame, dict):
            self._raised = {"raised": ["ProtocolError", "the program wrote to the sandbox's own channel"]}
            self._stop("garbage")
            return
        if "begun" in frame:
            self._begun = True
            return
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
            message, _ = receive(self._control, _MESSAGE_BYTES)
        except (OSError, ClosedChannel, ValueError) as error:
            raise CellFailed(f"the supervisor is gone: {error}") from error
        if "failed" in message:
            raise CellFailed(message["failed"])
        while self._data.fileno() >= 0 and not self._stopped:  # claims that were written before the end
            before = len(self._frames), self._begun
            try:
                self._read()
            except FrameTooLarge:
                break
            if before == (len(self._frames), self._begun):
                break
        if self._output is not None:
            self._drain()
        self._end()
        raise _Ended(message)

    def outcome_of(self, report: dict[str, Any]) -> Outcome:
        """What the supervisor's report means for the program. Raises CellFailed."""
        if not self._begun:
            raise CellFailed(f"a program's process ended before the program began (exit status {report['ended']})")
        ending, error = _ending_of(report, self._limits, self._stopped)
        exception = ""
        if len(self._stdout) > self._limits.output_bytes:
            ending, error = Ending.OUTPUT_LIMIT, f"more than {self._limits.output_bytes} bytes of output"
        if ending is Ending.ERROR and self._raised:
            exception, error = _named(self._raised)
            if exception == "MemoryError":
                ending, error = Ending.MEMORY_LIMIT, f"more than {self._limits.memory_mb} MB of memory"
        stdout = bytes(self._stdout[: self._limits.output_bytes])
        return Outcome(ending, None, stdout, error, exception, report["cpu_s"], report["wall_s"])


def _ending_of(report: dict[str, Any], limits: Limits, stopped: str) -> tuple[Ending, str]:
    status, reason = report["ended"], report["reason"]
    used_up = f"more than {limits.cpu_s:g} s of processor time, or {limits.wall_s:g} s asleep"
    if reason == "stalled":
        return Ending.STALLED, f"the machine was too busy to run the program within {limits.wall_s:g} s"
    if reason == "time" or status == -signal.SIGXCPU or (status == -signal.SIGKILL and report["cpu_s"] >= limits.cpu_s):
        return Ending.TIME_LIMIT, used_up
    if reason == "memory" or status == 71:
        return Ending.MEMORY_LIMIT, f"more than {limits.memory_mb} MB of memory"
    if stopped == "output":
        return Ending.OUTPUT_LIMIT, f"more than {limits.output_bytes} bytes of output"
    if status == 0 and not stopped:
        return Ending.FINISHED, ""
    return Ending.ERROR, _death(status)


def _death(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def _named(frame: dict[str, Any]) -> tuple[str, str]:
    """The class and the line of a claim, whatever it holds."""
    raised = frame.get("raised")
    if isinstance(raised, list) and len(raised) == 2:
        return str(raised[0])[:100], " ".join(str(raised[1])[:300].split())
    return "Exception", "an exception"


def _raised(frame: dict[str, Any], started: float) -> Outcome:
    exception, line = _named(frame)
    ending = Ending.MEMORY_LIMIT if exception == "MemoryError" else Ending.ERROR
    return Outcome(ending, error=line, exception=exception, wall_s=time.monotonic() - started)


def _outcome_of_call(frame: dict[str, Any], started: float) -> Outcome:
    wall = time.monotonic() - started
    if "raised" in frame:
        return _raised(frame, started)
    if "value" in frame:
        try:
            return Outcome(Ending.FINISHED, value=decode(frame["value"]), wall_s=wall)
        except Malformed as error:
            return Outcome(Ending.ERROR, error=f"not a value: {error}", wall_s=wall)
        except TooLarge as error:
            return Outcome(Ending.OUTPUT_LIMIT, error=f"the value is too large: {error}", wall_s=wall)
    if "too_large" in frame:
        return Outcome(
            Ending.OUTPUT_LIMIT, error=f"the value is too large: {str(frame['too_large'])[:100]}", wall_s=wall
        )
    died = frame.get("died")
    if isinstance(died, int):
        if died == -signal.SIGXCPU:
            return Outcome(Ending.TIME_LIMIT, error="the processor time was used up", wall_s=wall)
        return Outcome(Ending.ERROR, error=_death(died), wall_s=wall)
    return Outcome(Ending.ERROR, error="the program wrote to the sandbox's own channel", wall_s=wall)
