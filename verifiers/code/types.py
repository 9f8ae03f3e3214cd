"""What a code problem is made of once its benchmark's format has been read."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from verifiers.sandbox.types import Input, Outcome


class Trust(StrEnum):
    """How far the tests stood from the program that they judged."""

    VALUES = "values"
    """Inputs went in and values came out; everything else stayed in the caller's process."""
    SEPARATE = "separate"
    """The test text ran in a sandbox of its own and called the program in another, with plain values in between."""
    SHARED = "shared"
    """The test text ran in the program's process, with a secret of this run. The program could have interfered."""


class Check(Protocol):
    """Decides on one outcome, in the caller's process. Implementations are frozen dataclasses."""

    def failure(self, outcome: Outcome) -> str:
        """Empty if the outcome is as expected; otherwise one line that says what was expected and what came. Only
        called for outcomes with `is_judged`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """One test: an input, and what is expected of its outcome."""

    input: Input
    check: Check
    visible: bool = False
    """Shown to the policy in its prompt: such a case is run and reported, and does not decide."""
    name: str = ""
    """For a person: the source of the assert, or "test 3"."""


@dataclass(frozen=True, slots=True)
class TestText:
    """Test text that cannot be turned into cases, with the functions of the program that it calls."""

    source: str
    functions: tuple[str, ...]
    """Names that the test text takes from the program. Empty: unknown, so that it must share the program's process."""
    name: str = ""
    visible: bool = False


@dataclass(frozen=True, slots=True)
class CodeTests:
    """All tests of a problem. Raises ValueError if there are none."""

    cases: tuple[Case, ...] = ()
    texts: tuple[TestText, ...] = ()
    prelude: str = ""
    """Source that stands before every program: the benchmark's imports."""
    entry_point: str = ""
    prompt: str = ""
    """What the policy was asked. If it is source that a program continues, its signature and its imports are put before
    the program (`verifiers.code.source.program`).
    """

    def __post_init__(self) -> None:
        tests: tuple[Case | TestText, ...] = (*self.cases, *self.texts)
        if all(test.visible for test in tests):
            raise ValueError("there are no tests that decide: `tests` is empty, or all of them are visible")


class BadTests(ValueError):
    """The tests of a problem cannot be read. The message names the field and says what to write instead."""


class BrokenCheck(RuntimeError):
    """A special checker raised, or returned what none may: no verdict on the program. The message is one line."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What one test came to."""

    name: str
    passed: bool | None
    """None if it was not run (an earlier one failed) or says nothing about the program."""
    outcome: str
    """passed, wrong_answer, runtime_error, time_limit, memory_limit, output_limit, sandbox_failure, checker_failure,
    out_of_time, not_run.
    """
    detail: str = field(default="")
