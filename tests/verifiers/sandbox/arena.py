"""Runs attacks, and looks afterwards for what they must not leave. Also as a program, for another user:

    python -m tests.verifiers.sandbox.arena LAYER      prints one JSON report a line

Standard library alone, so that any Python 3.11 runs it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from queue import Empty, SimpleQueue

from tests.verifiers.sandbox.attacks import CALLS, MARK, SCRIPTS, Attack
from tests.verifiers.sandbox.attacks.attack import HELD
from tests.verifiers.sandbox.attacks.floods import LIMITS
from verifiers.sandbox import Call, Ending, Outcome, Sandbox, Stdin, open_sandbox

_THREADS = 8
_ASKED = (0, 99)
_WATCHED_FOLDERS = ("/", "/tmp", "/var/tmp", "/dev/shm", "/dev", "/usr", "/usr/lib", "/root", os.getcwd(), sys.prefix)


@dataclass
class Report:
    name: str
    problems: list[str] = field(default_factory=list)
    """What went wrong, as sentences. Empty: the attack was held."""


def descendants(process: int) -> set[int]:
    """Processes that this one has started, and theirs."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="latin-1") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except (OSError, IndexError):  # it ended in the meantime
                continue
            children.setdefault(parent, []).append(int(name))
    found: set[int] = set()
    waiting = [process]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return found


def marked_files() -> list[str]:
    """Files outside that bear the mark of the attacks."""
    found = []
    for folder in _WATCHED_FOLDERS:
        try:
            found += [os.path.join(folder, name) for name in os.listdir(folder) if MARK in name]
        except OSError:  # not for this user
            continue
    return found


def _script(sandbox: Sandbox, program: str, endings: frozenset[Ending]) -> Outcome:
    """Again with more time if the machine was too busy for it, or its disk too slow."""
    (outcome,) = sandbox.run(program, [Stdin("")], LIMITS)
    if outcome.ending in {Ending.STALLED, Ending.TIME_LIMIT} - endings:
        (outcome,) = sandbox.run(program, [Stdin("")], replace(LIMITS, cpu_s=5.0, wall_factor=50.0))
    return outcome


def script_problems(sandbox: Sandbox, attack: Attack) -> Iterator[str]:
    outcome = _script(sandbox, attack.program, attack.endings)
    if outcome.ending not in attack.endings or attack.stdout not in (None, outcome.stdout):
        yield f"it ended with {outcome.ending.value} ({outcome.error}), and wrote {outcome.stdout[:200]!r}"
    yield from line_problems(outcome.error + outcome.exception)
    if attack.then:
        after = _script(sandbox, attack.then, frozenset({Ending.FINISHED}))
        if after.stdout != HELD:
            yield f"the next sample wrote {after.stdout[:200]!r} {after.error}"


def call_problems(sandbox: Sandbox, attack: Attack) -> Iterator[str]:
    calls = [Call("answer", (x,)) for x in _ASKED]
    for share in (False, True):
        right = []
        outcomes = sandbox.run(attack.program, calls, LIMITS, share_process=share)
        for wanted, outcome in zip(_ASKED, outcomes, strict=True):
            right.append(type(outcome.value) is int and outcome.value == wanted + 1)
            if outcome.ending is Ending.BROKEN:
                yield f"the outcome is masked: {outcome.error}"
            yield from line_problems(outcome.error + outcome.exception)
        if all(right):
            yield "all its answers were right"


def line_problems(line: str) -> Iterator[str]:
    if not line.isprintable() or len(line) > 500:
        yield f"its error is not one short printable line: {line[:500]!a}"


def held(sandbox: Sandbox, attack: Attack, processes: set[int]) -> Report:
    """Runs the attack and then an honest program. `processes`: those of an idle sandbox."""
    report = Report(attack.name)
    problems = call_problems if attack in CALLS else script_problems
    report.problems += problems(sandbox, attack)
    if left := descendants(os.getpid()) & _own(sandbox) - processes:
        report.problems.append(f"processes were left: {sorted(left)}")
    (honest,) = sandbox.run("print(6 * 7)", [Stdin("")])
    if (honest.ending, honest.stdout) != (Ending.FINISHED, b"42\n") and honest.ending is not Ending.STALLED:
        report.problems.append(f"an honest program after it ended with {honest.ending.value}: {honest.error}")
    return report


def _own(sandbox: Sandbox) -> set[int]:
    return {process for cell in sandbox.pids for process in (cell, *descendants(cell))}  # type: ignore[attr-defined]


def all_held(layer: str, attacks: Sequence[Attack] = (*CALLS, *SCRIPTS)) -> list[Report]:
    """One report for each attack. The calls come first: some wait for the end of several limits, one after another."""
    others = descendants(os.getpid())
    waiting: SimpleQueue[Attack] = SimpleQueue()
    for attack in attacks:
        waiting.put(attack)

    def some(_: int) -> list[Report]:
        sandbox = open_sandbox(layer)
        reports: list[Report] = []
        try:
            list(sandbox.run("", [Stdin()]))
            processes = _own(sandbox)
            while True:
                try:
                    attack = waiting.get_nowait()
                except Empty:
                    return reports
                reports.append(held(sandbox, attack, processes))
        finally:
            sandbox.close()

    with ThreadPoolExecutor(_THREADS) as pool:
        reports = [report for part in pool.map(some, range(_THREADS)) for report in part]
    if files := marked_files():
        reports.append(Report("left", [f"files: {files}"]))
    if left := descendants(os.getpid()) - others:
        reports.append(Report("left", [f"processes: {sorted(left)}"]))
    return reports


if __name__ == "__main__":
    for one in all_held(sys.argv[1]):
        print(json.dumps(asdict(one)), flush=True)
