"""What goes into a sandbox and what comes out of it: programs, inputs, limits, outcomes. Data alone.

What a program must not know (expected outputs, tests, the comparison) has no place in any of these types: it stays in
the caller's process.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Limits:
    """What one input of a program may use. The program itself hits all of them but the wall clock."""

    cpu_s: float = 6.0
    """Processor seconds of each process."""
    wall_factor: float = 3.0
    """The wall clock's limit is `cpu_s` times this. See `Ending.STALLED` for what passing it means."""
    memory_mb: int = 1024
    """Address space of each process; resident memory of all of them where a cgroup can be had."""
    processes: int = 16
    """Processes and threads at one time."""
    disk_mb: int = 32
    """Files in the working folder, which lies in memory."""
    open_files: int = 64
    output_bytes: int = 1 << 20
    """Of standard output, and of a value that a call returns. What comes beyond is never stored."""

    def __post_init__(self) -> None:
        """Raises ValueError, with the name of the field."""
        for each in fields(self):
            value = getattr(self, each.name)
            is_number = isinstance(value, int if isinstance(each.default, int) else int | float)
            if isinstance(value, bool) or not is_number or not 0 < value < math.inf:
                raise ValueError(f"the limit {each.name} is {value!r}; write a number above 0")

    @property
    def wall_s(self) -> float:
        return self.cpu_s * self.wall_factor


@dataclass(frozen=True, slots=True)
class Stdin:
    """One run of the program as a script, with a text on its standard input."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function that the program defines, in a process that has run the program once."""

    function: str
    """A name, or "Class.method": the class is made without arguments first (LeetCode's `Solution`)."""
    args: tuple[Any, ...] = ()
    """Plain values (`verifiers.sandbox.values`): they are copied into the process."""
    kwargs: dict[str, Any] = field(default_factory=dict)


Input = Stdin | Call


class Ending(StrEnum):
    """How one input ended."""

    FINISHED = "finished"
    """A script that exited with status 0, or a call that returned."""
    ERROR = "error"
    """An exception, an exit status other than 0, a signal that the program brought on itself."""
    TIME_LIMIT = "time_limit"
    """The processor time was used up; or the wall time, while the program slept or waited for something."""
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_LIMIT = "output_limit"
    STALLED = "stalled"
    """The wall time passed, and the program was ready but not run: the machine's fault, not the program's."""
    BROKEN = "broken"
    """The sandbox itself failed. Says nothing about the program."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one input."""

    ending: Ending
    value: Any = None
    """What a call returned, as a plain value or an `Opaque`; None for scripts and where nothing was returned."""
    stdout: bytes = b""
    """What was written to standard output, up to `Limits.output_bytes`."""
    error: str = ""
    """One line: the last line of the traceback ("ZeroDivisionError: division by zero"), or what the limit was."""
    exception: str = ""
    """The class that was raised, e.g. "ValueError"; empty if none was."""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    bases: tuple[str, ...] = ()
    """The built-in classes that `exception` is one of, the nearest first."""
    was_called: bool = True
    """False: what was raised came before the call. The program's own lines failed, or it has no such function."""

    @property
    def is_judged(self) -> bool:
        """Whether this says something about the program."""
        return self.ending not in (Ending.STALLED, Ending.BROKEN)

    @property
    def has_answered(self) -> bool:
        """Whether a call was made, and returned or raised. No test can expect anything else."""
        return self.ending is Ending.FINISHED or (
            self.ending is Ending.ERROR and bool(self.exception) and self.was_called
        )


class SandboxUnavailable(RuntimeError):
    """This machine does not offer the isolation that was asked for. The message says what is missing and the line that
    installs it.
    """


class Sandbox(Protocol):
    """Runs untrusted Python programs. Safe to use from several threads."""

    isolation: str
    """The name of the layer: bubblewrap, namespaces, fusion, rlimits."""

    def run(
        self, program: str, inputs: Sequence[Input], limits: Limits = ..., *, share_process: bool = False
    ) -> Iterator[Outcome]:
        """One outcome for each input, in order, as they come. Closing the iterator ends the program's processes.

        Args:
            program: Python source text.
            inputs: all `Stdin` (each a process of its own that runs the source as `__main__`), or all `Call`.
            share_process: calls may run one after the other in one process. For programs that cannot keep anything
                from one call to the next (`verifiers.code.purity`); otherwise each call has a process of its own.

        Never raises for what the program does.
        """
        ...

    def run_tests(self, tests: str, functions: Sequence[str], program: str, limits: Limits = ...) -> Outcome:
        """Runs test text apart from the program, whose `functions` it calls. `value` is True if all passed."""
        ...

    def run_shared(self, tests: str, program: str, limits: Limits = ...) -> Outcome:
        """Runs test text in the program's own process. `value` is True if a secret of this run came back."""
        ...

    def close(self) -> None:
        """Ends all processes. They also end with the program that uses the sandbox."""
        ...
