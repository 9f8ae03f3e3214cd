"""What the supervisor knows of a program that runs: its processor time, its memory, and whether the machine let it run.

The processes are read from a /proc that only the supervisor can reach. A process may give itself any name, and it may
have children whose times the kernel drops when they end: what was seen of them once is counted for good.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

PATIENCE = 5
"""On a busy machine a program has up to so many times its wall limit: while it is kept waiting, its clock stands."""
LATE_S = 0.02
_LOOK_S = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGESIZE")
_MANY_PROCESSES = 64
"""Started while the watch ran. A crowd of short-lived processes uses time that no look sees and keeps the program
itself waiting: that is the program's own doing."""


def own_children_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


class Processes:
    """The processes of this namespace that came after this object was made: those of programs."""

    def __init__(self) -> None:
        self._folder = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        self._others = frozenset(os.listdir(self._folder))

    def names(self) -> list[str]:
        return [name for name in os.listdir(self._folder) if name.isdigit() and name not in self._others]

    def read(self, name: str) -> str:
        """A file of /proc; empty if the process has ended in the meantime."""
        try:
            descriptor = os.open(name, os.O_RDONLY, dir_fd=self._folder)
        except OSError:
            return ""
        try:
            return os.read(descriptor, 4096).decode("latin-1")  # a process may name itself with any bytes
        except OSError:
            return ""
        finally:
            os.close(descriptor)

    def last(self) -> int:
        """The number of the youngest process or thread."""
        text = self.read("loadavg")
        return int(text.split()[-1]) if text else 0


class Running:
    """The program that runs now."""

    def __init__(self, process: int, handle: int, processes: Processes, baseline_s: float) -> None:
        """`handle`: a pidfd, which can be read when the process has ended; or -1."""
        self.process, self.handle, self.processes, self.baseline_s = process, handle, processes, baseline_s
        self.started = time.monotonic()
        self.watched_since: float | None = None
        self.watched_cpu_s = self.quiet_until = 0.0
        self.late = 0.0
        """Seconds in which this supervisor itself was not run when it was due: nobody else was, then, either."""
        self._seen: dict[tuple[str, str], int] = {}
        """Ticks of each process (its number and its start), as they were seen last."""
        self._delays_s: dict[str, float] = {}
        self._born = 0

    def watch(self, quiet_s: float = 0.0, *, active: bool = True) -> None:
        """From now on the limits hold. Nothing is looked at for `quiet_s`."""
        if not active:
            self.watched_since = None
            return
        now = time.monotonic()
        self.watched_since = now
        self.quiet_until = now + quiet_s
        self.late = 0.0
        if quiet_s:  # it starts just now, with nothing used
            self.watched_cpu_s, self._delays_s, self._born = 0.0, {}, self.process
        else:
            self.watched_cpu_s, self._delays_s, self._born = self.cpu_s(), dict(self._delays()), self.processes.last()

    def next_look(self) -> float | None:
        if self.watched_since is None:
            return None
        return max(_LOOK_S, self.quiet_until - time.monotonic())

    def over_limit(self, settings: dict[str, Any]) -> str:
        """Which limit has been passed since the watch began: time, memory, stalled; empty if none."""
        if self.watched_since is None:
            return ""
        used = self.cpu_s() - self.watched_cpu_s
        if used >= settings["cpu_s"]:
            return "time"
        if self._resident_mb() > settings["memory_mb"] * 1.5:
            return "memory"
        elapsed = time.monotonic() - self.watched_since - self.late
        if elapsed < settings["wall_s"]:
            return ""
        if elapsed - self._kept_waiting_s() >= settings["wall_s"]:
            return "time"  # it slept, or waited for something
        return "stalled" if elapsed >= PATIENCE * settings["wall_s"] else ""

    def _kept_waiting_s(self) -> float:
        """How long it was ready to run and others had the processor."""
        if self.processes.last() - self._born > _MANY_PROCESSES:
            return 0.0
        return max((delay - self._delays_s.get(name, 0.0) for name, delay in self._delays()), default=0.0)

    def cpu_s(self) -> float:
        """Processor seconds of all processes of the sample so far, with those that have ended."""
        now = 0
        for name, fields in self._stats():
            alone, with_children = sum(map(int, fields[11:13])), sum(map(int, fields[11:15]))
            now += with_children
            self._seen[name, fields[19]] = alone
        waited_for = now / _TICKS + own_children_s() - self.baseline_s
        return max(waited_for, sum(self._seen.values()) / _TICKS)

    def _resident_mb(self) -> float:
        pages = sum(int(fields[21]) for _, fields in self._stats())
        return pages * _PAGE / (1 << 20)

    def _delays(self) -> Iterator[tuple[str, float]]:
        """For each process, how long it was ready and not run."""
        for name in self.processes.names():
            text = self.processes.read(f"{name}/schedstat")
            if text:
                yield name, int(text.split()[1]) / 1e9

    def _stats(self) -> Iterator[tuple[str, list[str]]]:
        for name in self.processes.names():
            text = self.processes.read(f"{name}/stat")
            if text:
                yield name, text.rpartition(")")[2].split()
