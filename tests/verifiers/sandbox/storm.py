"""Hostile programs in a row, several at a time, with honest ones beside them; and what that costs the judge."""

from __future__ import annotations

import gc
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.verifiers.sandbox.arena import call_problems, descendants, script_problems
from tests.verifiers.sandbox.attacks import CALLS, SCRIPTS
from verifiers.sandbox import Call, Ending, Sandbox, Stdin, open_sandbox

THREADS = 4
_HONEST = (
    ("print(sum(map(int, input().split())))", "1 2 3\n", b"6\n"),
    ("import sys\nprint(sorted(sys.stdin.read().split()))", "b a\n", b"['a', 'b']\n"),
    ("import threading\nt = threading.Thread(target=print, args=(1,))\nt.start()\nt.join()\nprint(2)", "", b"1\n2\n"),
    ("open('left.txt', 'w').write('x')\nprint(open('left.txt').read())", "", b"x\n"),
)


@dataclass
class Weather:
    problems: list[str] = field(default_factory=list)
    honest: int = 0
    memory_mb: list[float] = field(default_factory=list)
    """Resident memory of the judge after each quarter."""
    processes: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)


def storm(count: int, seed: int) -> Weather:
    """Runs so many attacks of the table, in four quarters."""
    weather = Weather()
    picks = random.Random(seed)
    sandbox = open_sandbox(workers=THREADS + 1)
    try:
        for _ in range(4):
            over = threading.Event()
            beside = threading.Thread(target=_honest_beside, args=(sandbox, weather, over))
            beside.start()
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(lambda attack: _one(sandbox, weather, attack), picks.choices(_ALL, k=count // 4)))
            over.set()
            beside.join()
            gc.collect()
            weather.memory_mb.append(_resident_mb())
            weather.processes.append(len(descendants(os.getpid())))
            weather.descriptors.append(len(os.listdir("/proc/self/fd")))
    finally:
        sandbox.close()
    return weather


_ALL = (*SCRIPTS, *CALLS)


def _one(sandbox: Sandbox, weather: Weather, attack: object) -> None:
    problems = call_problems if attack in CALLS else script_problems
    weather.problems += [f"{attack}: {problem}" for problem in problems(sandbox, attack)]  # type: ignore[arg-type]


def _honest_beside(sandbox: Sandbox, weather: Weather, over: threading.Event) -> None:
    while not over.is_set():
        for program, text, wanted in _HONEST:
            (outcome,) = sandbox.run(program, [Stdin(text)])
            _judge(weather, (outcome.ending, outcome.stdout), (Ending.FINISHED, wanted), outcome.error)
        (outcome,) = sandbox.run("def double(x): return 2 * x", [Call("double", (21,))])
        _judge(weather, (outcome.ending, outcome.value), (Ending.FINISHED, 42), outcome.error)
        over.wait(0.1)


def _judge(weather: Weather, got: object, wanted: object, error: str) -> None:
    weather.honest += 1
    if got != wanted:
        weather.problems.append(f"an honest program: {got} instead of {wanted}: {error}")


def _resident_mb() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / (1 << 20)


def check(count: int, seed: int) -> Weather:
    """Raises AssertionError if an attack paid, an honest program suffered, or the judge grew."""
    weather = storm(count, seed)
    assert weather.problems == [], weather.problems[:10]
    assert weather.honest >= 20
    _, *later = weather.memory_mb
    assert max(later) - min(later) < 12, weather
    assert max(weather.processes) <= min(weather.processes) + 3, weather
    assert max(weather.descriptors) <= min(weather.descriptors) + 3, weather
    return weather
