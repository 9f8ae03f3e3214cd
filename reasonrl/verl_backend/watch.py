"""Connects a run on verl with the terminal that launched it: shows rows and warnings, and forwards Ctrl-C."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from reasonrl.runs.console import TrainConsole

STOP = "stop"
"""File under STAGE/verl: the trainer finishes the step, saves a checkpoint and stops."""
_WARNING = re.compile(r"\breasonrl: (.+)")


def warn(text: str) -> None:
    """Called in a process of verl: the terminal of the launch shows `text` as a warning. It travels in verl's log."""
    print(f"reasonrl: {text}", flush=True)


class Watch:
    """Call this regularly. `console` gets what was added to metrics.jsonl and verl's log since."""

    def __init__(self, folder: Path, log: Path, console: TrainConsole, stop_requested: Callable[[], bool]) -> None:
        self._rows, self._log = NewLines(folder / "metrics.jsonl"), NewLines(log)
        self.console, self._stop_requested, self._stop = console, stop_requested, folder / "verl" / STOP
        self.started = False
        """Whether a step of this launch has been seen."""
        self._stop.unlink(missing_ok=True)

    def __call__(self) -> None:
        for line in self._log:
            if warning := _WARNING.search(line):
                self.console.warn(warning[1])
        for row in map(json.loads, self._rows):
            if row["kind"] != "train":
                self.console.evaluation(row)
                continue
            if not self.started:
                self.console.start(row["time/step_s"])
                self.started = True
            self.console.step(row)
        if self._stop_requested():
            self._stop.touch()


class NewLines:
    """Iterating gives the complete lines that were added to a file since the last time, or since creation."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size if path.exists() else 0

    def __iter__(self) -> Iterator[str]:
        if not self._path.exists():
            return
        self._at = min(self._at, self._path.stat().st_size)  # a resumed run removes the rows after its checkpoint
        with self._path.open("rb") as file:
            file.seek(self._at)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]
        self._at += len(new)
        yield from new.decode(errors="replace").splitlines()
