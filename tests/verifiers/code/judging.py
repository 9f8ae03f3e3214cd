"""Runs the cases of a code problem on a program of the test itself, in this process: for tests of how tests are read.

Programs come from the test files alone. A program of a model belongs in the sandbox.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

from verifiers.code.formats.reading import read_tests
from verifiers.code.source.entry import at_entry
from verifiers.code.types import CodeTests
from verifiers.sandbox.types import Call, Ending, Outcome
from verifiers.sandbox.values import decode, encode


def judged(program: str, row: dict[str, Any]) -> list[str]:
    """What each case has to say about a program: empty if it passes. All tests must have become cases."""
    tests = read_tests(row)
    assert not tests.texts, [text.name for text in tests.texts]
    return failures(program, tests)


def failures(program: str, tests: CodeTests) -> list[str]:
    lines = []
    for case in at_entry(tests, program).cases:
        names: dict[str, Any] = {"__name__": "program"}
        exec(tests.prelude + program, names)
        assert isinstance(case.input, Call)
        lines.append(case.check.failure(_outcome(names, case.input)))
    return lines


def _outcome(names: dict[str, Any], call: Call) -> Outcome:
    owner, _, method = call.function.partition(".")
    try:
        function = getattr(names[owner](), method) if method else names[owner]
        args, kwargs = decode(encode((call.args, call.kwargs)))
        with contextlib.redirect_stdout(io.StringIO()):
            value = decode(encode(function(*args, **kwargs)))
    except Exception as error:  # whatever the program raises is its outcome
        return Outcome(Ending.ERROR, error=repr(error), exception=type(error).__name__)
    return Outcome(Ending.FINISHED, value)
