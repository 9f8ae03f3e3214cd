"""One program and all its inputs, in namespaces of their own."""

from __future__ import annotations

import marshal
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from verifiers.sandbox.outcomes import call_outcome, load_outcome, named, raised_outcome
from verifiers.sandbox.running import CellFailed, Control, Ended, RunningProgram
from verifiers.sandbox.types import Call, Ending, Input, Limits, Outcome, Stdin
from verifiers.sandbox.values import Malformed, TooLarge, decode, encode, is_plain

_ASKS = 100_000
_ASKING_WALLS = 20.0
"""Test text that asks more often than `_ASKS` times, or waits for answers longer than so many wall limits, is ended:
the program decides how long a test that loops over its answers runs."""
_PLAIN_BYTES = 1 << 20
"""Larger arguments are encoded item by item, which bounds how many there are."""


class Sample:
    """What a `Cell` lends. Used by one thread."""

    def __init__(self, control: Control, limits: Limits, *, share_process: bool = False) -> None:
        self._control = control
        self._limits = limits
        self._shares = share_process
        self._batch = range(0)
        self._running = -1
        self._program: RunningProgram | None = None
        self._load_failure: Outcome | None = None

    def close(self) -> None:
        """The program, if one still runs, ends with the sample's supervisor."""
        if self._program:
            self._program.drop()
            self._program = None

    def run(self, source: str, inputs: Sequence[Input]) -> Iterator[Outcome]:
        """One outcome for each input, in order. Raises CellFailed."""
        for number, wanted in enumerate(inputs):
            if isinstance(wanted, Stdin):
                yield self.script(source, wanted)
            elif self._shares:
                yield self.shared_call(source, inputs, number)
            else:
                yield self.call(source, wanted, number)

    def script(self, source: str, wanted: Stdin) -> Outcome:
        """One run of the program with a text on its standard input. Raises CellFailed."""
        stdin = os.memfd_create("stdin")
        output, stdout = os.pipe()
        program = None
        try:
            with open(stdin, "wb", closefd=False) as file:
                file.write(_bytes_of(wanted.text))
            os.lseek(stdin, 0, os.SEEK_SET)
            os.set_blocking(output, False)
            program = RunningProgram(self._control, self._limits, "script", (stdin, stdout), output)
            os.close(stdout)  # else the pipe would have a writer for ever
            stdout = -1
            program.say({"source": str.__str__(source)})
            while True:
                program.next_frame(watch=False)
                program.unasked()
        except Ended as ended:
            assert program is not None
            return program.outcome_of(ended.report)
        finally:
            if program:
                program.drop()
            for descriptor in (stdin, output, stdout):
                if descriptor >= 0:
                    os.close(descriptor)

    def call(self, source: str, wanted: Call, number: int) -> Outcome:
        """One call of a function of the program, which is started if it does not run. Raises CellFailed."""
        started = time.monotonic()
        if self._load_failure is not None:  # the module's own lines fail, so every call does
            return self._load_failure
        if self._program is None:
            self._program = RunningProgram(self._control, self._limits, "calls")
            self._program.say({"source": str.__str__(source)})
            if (failed := self._answer(self._program, lambda frame: "ready" in frame, started)) is not None:
                self._load_failure = failed if failed.is_judged else None
                return failed
        program = self._program
        program.say(_call_order(wanted, number))
        answers: list[dict[str, Any]] = []

        def is_answer(frame: dict[str, Any]) -> bool:
            if frame.get("call") == number:
                answers.append(frame)
            return bool(answers)

        failed = self._answer(program, is_answer, started)
        return failed if failed is not None else call_outcome(answers[0], started)

    def shared_call(self, source: str, inputs: Sequence[Input], number: int) -> Outcome:
        """The same, in a process that is given all calls from here on at once. Raises CellFailed."""
        started = time.monotonic()
        is_alone = False
        while True:
            if self._load_failure is not None:
                return self._load_failure
            if self._program is None or number not in self._batch:
                self._start_batch(source, inputs, range(number, number + 1 if is_alone else len(inputs)))
            answer = self._collect(number, started)
            if not isinstance(answer, Outcome):
                return call_outcome(answer, started)
            if self._running == number or len(self._batch) == 1:
                return answer
            # It may have ended in a later call, and answers with it: then this one is called again, alone.
            is_alone = True

    def _start_batch(self, source: str, inputs: Sequence[Input], batch: range) -> None:
        if self._program is not None:
            self._program.end()
        self._program = RunningProgram(self._control, self._limits, "calls")
        self._batch, self._running = batch, -1
        self._program.say(
            {"source": str.__str__(source), "calls": [_call_order(inputs[place], place) for place in batch]}
        )

    def _collect(self, number: int, started: float) -> dict[str, Any] | Outcome:
        """The answer to the call `number`; an outcome if the program ends before. Answers come in order, and those to
        later calls stay where they are: a program cannot make the caller hold more than one.
        """
        program = self._program
        assert program is not None
        try:
            while True:
                frame = program.next_frame(watch=True)
                place, running = frame.get("call"), frame.get("running")
                if "raised" in frame and place is None:
                    self._program = None
                    program.end()
                    self._load_failure = load_outcome(frame, started)
                    return self._load_failure
                if type(place) is int and place == number:
                    program.answered()
                    return frame
                if type(running) is int and running in self._batch and running > self._running:
                    self._running = running
                else:
                    program.unasked()
        except Ended as ended:
            self._program = None
            return _unanswered(program.outcome_of(ended.report))

    def tests(self, source: str, functions: Sequence[str], ask: Callable[[Call, int], Outcome]) -> Outcome:
        """Runs test text; what it calls of `functions` is asked of the caller. An outcome that no test can expect is
        that of the text. Raises CellFailed.
        """
        started = time.monotonic()
        asks, asking_s = 0, 0.0
        program = self._program = RunningProgram(self._control, self._limits, "tests")
        program.say({"source": str.__str__(source), "functions": [str.__str__(name) for name in functions]})
        try:
            while True:
                frame = program.next_frame(watch=True)
                if "passed" in frame:
                    wall = time.monotonic() - started
                    return Outcome(Ending.FINISHED, value=True, wall_s=wall) if asks else unasked(frame)
                if "raised" in frame:
                    return raised_outcome(frame, started) if asks else unasked(frame)
                call = asked_call(frame, functions)
                if call is None:
                    program.unasked()
                    continue
                program.answered()
                since = time.monotonic()
                asks += 1
                outcome = ask(call, asks)
                asking_s += time.monotonic() - since
                if asks > _ASKS or asking_s > _ASKING_WALLS * self._limits.wall_s:
                    line = f"the tests were not at their end after {asks} calls in {asking_s:.0f} s"
                    return Outcome(Ending.TIME_LIMIT, error=line, wall_s=time.monotonic() - started)
                if not outcome.has_answered:
                    return replace(outcome, value=None)
                program.say(reply_to(outcome))
        except Ended as ended:
            self._program = None
            return _unanswered(program.outcome_of(ended.report))

    def shared(self, source: str, tests: str, secret: str) -> Outcome:
        """Runs test text in the program's own process, which must give the secret back. Raises CellFailed."""
        started = time.monotonic()
        program = self._program = RunningProgram(self._control, self._limits, "shared")
        program.say({"source": str.__str__(source)})
        if (failed := self._answer(program, lambda frame: "ready" in frame, started)) is not None:
            return failed
        program.say({"tests": str.__str__(tests), "secret": secret})
        if (failed := self._answer(program, lambda frame: frame.get("passed") == secret, started)) is not None:
            return failed
        return Outcome(Ending.FINISHED, value=True, wall_s=time.monotonic() - started)

    def _answer(
        self, program: RunningProgram, is_answer: Callable[[dict[str, Any]], bool], started: float
    ) -> Outcome | None:
        """Waits for a frame of the program; an outcome if it fails first. Raises CellFailed."""
        try:
            while True:
                frame = program.next_frame(watch=True)
                if "raised" in frame and "call" not in frame:
                    self._program = None
                    program.end()
                    return load_outcome(frame, started)
                if is_answer(frame):
                    program.answered()
                    return None
                program.unasked()
        except Ended as ended:
            self._program = None
            return _unanswered(program.outcome_of(ended.report))


def unasked(frame: dict[str, Any]) -> Outcome:
    """Of test text that has ended without a call of the program, in a sandbox that the program cannot reach."""
    end = (
        f"failed before they called the program: {named(frame)[1]}" if "raised" in frame else "never called the program"
    )
    return Outcome(Ending.BROKEN, error=f"the tests {end}")


def _unanswered(outcome: Outcome) -> Outcome:
    """Of a program that has ended: status 0 is no success where an answer was due, and no answer is not None."""
    if outcome.ending is not Ending.FINISHED:
        return outcome
    return replace(outcome, ending=Ending.ERROR, error="the program ended before it answered")


def reply_to(outcome: Outcome) -> dict[str, Any]:
    """What test text is told of a call that it asked for."""
    if outcome.ending is Ending.FINISHED:
        return {"value": encode(outcome.value)}
    return {"raised": [outcome.exception, outcome.error, list(outcome.bases)]}


def _call_order(wanted: Input, number: int) -> dict[str, Any]:
    """`call_frame`, with plain arguments as `marshal` has them, which costs a fifth."""
    assert isinstance(wanted, Call)
    arguments = (wanted.args, wanted.kwargs)
    if not is_plain(arguments):
        return call_frame(wanted, number)
    written = marshal.dumps(arguments, 2)
    if len(written) > _PLAIN_BYTES:
        return call_frame(wanted, number)  # refuses what is too large
    return {"call": number, "function": str.__str__(wanted.function), "args": written}


def call_frame(wanted: Input, number: int) -> dict[str, Any]:
    """What a program is told of a call."""
    assert isinstance(wanted, Call)
    return {"call": number, "function": str.__str__(wanted.function), "args": encode((wanted.args, wanted.kwargs))}


def _bytes_of(text: str) -> bytes:
    """UTF-8, with the bytes that `surrogateescape` had read. Other halves of characters are written as they are."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def asked_call(frame: dict[str, Any], functions: Sequence[str]) -> Call | None:
    """The call that test text asks for; None if the frame is not such a question."""
    if frame.get("function") not in functions:
        return None
    try:
        args, kwargs = decode(frame["args"])
        return Call(frame["function"], tuple(args), dict(kwargs))
    except (KeyError, TypeError, ValueError, Malformed, TooLarge):
        return None


__all__ = ["CellFailed", "Sample", "asked_call", "call_frame", "reply_to"]
