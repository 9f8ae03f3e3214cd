"""How `step_time.py` talks to its two sides, and what each tells of an update.

A side is a process of its own. It reads a line from standard input for every update that it is to make, and answers
with one line of JSON. Between updates it sleeps in that read, so the other side has the machine to itself.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any


class Driver:
    """The worker's end of the two pipes."""

    def __init__(self) -> None:
        # What libraries print must not get between the answers, so standard output becomes standard error for them.
        self._answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._rested = time.process_time()
        self._begun = self._cpu = 0.0
        self._idle = 0.0

    def wait(self) -> bool:
        """Sleep until the next update is wanted, and start the clock. False when there is none."""
        wanted = bool(sys.stdin.readline())
        self._cpu = time.process_time()
        self._idle = self._cpu - self._rested
        self._begun = time.perf_counter()
        return wanted

    def answer(self, **facts: Any) -> None:
        """Stop the clock and report one update."""
        seconds = time.perf_counter() - self._begun
        self._rested = time.process_time()
        timing = {
            "seconds": seconds,
            "cpu_s": self._rested - self._cpu,
            "idle_cpu_s": self._idle,
            "peak_rss_mb": peak_rss_mb(),
        }
        self._answers.write(json.dumps({**timing, **facts}) + "\n")
        self._answers.flush()
        self._rested = time.process_time()

    @property
    def begun(self) -> float:
        """When the present update began, on the clock of time.perf_counter."""
        return self._begun


def peak_rss_mb() -> float:
    """Largest resident memory so far in MB (1024 kB), imports included: this process and, each at its own peak, its
    children.

    From /proc, since `ru_maxrss` (the way out on other systems) also counts the process that started this one and no
    child that lives.
    """
    if not Path("/proc/self/status").exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    family, queue = [], [os.getpid()]
    while queue:
        process = queue.pop()
        family.append(process)
        for task in Path(f"/proc/{process}/task").iterdir():
            queue += [int(child) for child in (task / "children").read_text().split()]
    return sum(_high_water_kb(process) for process in family) / 1024


def _high_water_kb(process: int) -> int:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0
