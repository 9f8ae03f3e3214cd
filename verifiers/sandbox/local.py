"""A sandbox on this machine: warm processes of one isolation layer, lent to one sample at a time."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from verifiers.sandbox.cell import Cell, CellFailed, Process
from verifiers.sandbox.sample import Sample
from verifiers.sandbox.types import Ending, Input, Limits, Outcome, SandboxUnavailable, Stdin

Launch = Callable[[int, IO[bytes]], Process]
_ATTEMPTS = 2


class LocalSandbox:
    """Implements `Sandbox` with a layer that starts zygotes. Safe to use from several threads, and after a fork."""

    def __init__(self, isolation: str, launch: Launch, layer: dict[str, Any], *, workers: int) -> None:
        """Starts nothing yet. `workers`: samples at one time; a caller beyond them waits."""
        self.isolation = isolation
        self._launch, self._layer = launch, layer
        self._workers = workers
        self._owner = -1
        self._has_worked = False
        self._adopt()

    def run(
        self, program: str, inputs: Sequence[Input], limits: Limits | None = None, *, share_process: bool = False
    ) -> Iterator[Outcome]:
        """See `Sandbox.run`."""
        limits = limits or Limits()
        if any(not isinstance(wanted, Stdin) for wanted in inputs) and any(isinstance(w, Stdin) for w in inputs):
            raise ValueError("one program is run as a script or called, not both: give inputs of one kind")
        given = 0
        reason = ""
        for attempt in range(_ATTEMPTS):
            try:
                with self._sample(limits, share_process, again=attempt > 0) as sample:
                    for outcome in sample.run(program, inputs[given:]):
                        given += 1
                        yield outcome
                return
            except CellFailed as failed:
                reason = str(failed)
        for _ in inputs[given:]:
            yield Outcome(Ending.BROKEN, error=f"the sandbox failed: {reason}")

    def run_tests(self, tests: str, functions: Sequence[str], program: str, limits: Limits | None = None) -> Outcome:
        """Runs test text in one sandbox, and what it calls of the program in another. `value` is True if all passed.

        Outcomes of a call that no test can expect (`Outcome.has_answered`) are returned: to the tests a limit would be
        an exception, which some of them wait for.
        """
        limits = limits or Limits()
        reason = ""
        for attempt in range(_ATTEMPTS):
            try:
                again = attempt > 0
                with (
                    self._sample(limits, True, again=again) as judged,
                    self._sample(limits, False, tester=True, again=again) as testing,
                ):
                    return testing.tests(tests, functions, functools.partial(judged.call, program))
            except CellFailed as failed:
                reason = str(failed)
        return Outcome(Ending.BROKEN, error=f"the sandbox failed: {reason}")

    def run_shared(self, tests: str, program: str, limits: Limits | None = None) -> Outcome:
        """Runs test text in the program's own process: what the program cannot be kept from. `value` is True if the
        secret came back that only passing tests should give.
        """
        reason = ""
        for attempt in range(_ATTEMPTS):
            try:
                with self._sample(limits or Limits(), False, again=attempt > 0) as sample:
                    return sample.shared(program, tests, secrets.token_hex(16))
            except CellFailed as failed:
                reason = str(failed)
        return Outcome(Ending.BROKEN, error=f"the sandbox failed: {reason}")

    @property
    def pids(self) -> list[int]:
        """Process ids of the warm processes, as this process sees them."""
        self._adopt()
        with self._lock:
            return [cell.pid for cell in self._all]

    def close(self) -> None:
        """Ends all processes. A later call starts new ones."""
        self._adopt()
        with self._lock:
            cells = list(self._all)
            self._all.clear()
            for idle in self._idle.values():
                idle.clear()
        for cell in cells:
            cell.kill()

    def _adopt(self) -> None:
        """The processes belong to the process that started them; a fork of it starts its own."""
        if self._owner != os.getpid():
            self._owner = os.getpid()
            self._lock = threading.Lock()
            self._turns = {tester: threading.BoundedSemaphore(self._workers) for tester in (False, True)}
            self._idle: dict[bool, list[Cell]] = {False: [], True: []}
            self._all: list[Cell] = []

    @contextlib.contextmanager
    def _sample(
        self, limits: Limits, share_process: bool, *, tester: bool = False, again: bool = False
    ) -> Iterator[Sample]:
        """A sample in an idle process. Test text has processes of its own, so that two that wait for each other do not
        exist. `again`: a process has just failed, so the idle ones may be dead too; a new one is taken.
        """
        self._adopt()
        with self._turns[tester]:
            with self._lock:
                cell = self._idle[tester].pop() if self._idle[tester] and not again else None
            if cell is None:
                cell = self._new_cell()
            try:
                with cell.sample(limits, share_process=share_process) as sample:
                    yield sample
                self._has_worked = True
            finally:
                with self._lock:
                    is_lent_again = cell.is_sound and cell in self._all
                    if is_lent_again:
                        self._idle[tester].append(cell)
                    elif cell in self._all:
                        self._all.remove(cell)
                if not is_lent_again:
                    cell.kill()

    def _new_cell(self) -> Cell:
        """Raises SandboxUnavailable if none has started yet; CellFailed after that: the set-up is sound."""
        try:
            cell = Cell(self._launch, self._layer, tempfile.TemporaryFile())  # noqa: SIM115 -- the cell closes it
        except SandboxUnavailable as error:
            if self._has_worked:
                raise CellFailed(str(error)) from error
            raise
        with self._lock:
            self._all.append(cell)
        return cell
