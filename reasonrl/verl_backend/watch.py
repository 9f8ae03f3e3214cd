"""Connects a run on verl with the terminal that launched it: shows rows and warnings, and forwards Ctrl-C."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from reasonrl.errors import UsageError
from reasonrl.runs.console import TrainConsole
from reasonrl.runs.reading import Row, metric_row

STOP = "stop"
"""File under STAGE/verl: the trainer finishes the step, saves a checkpoint and stops."""
_WARNING = re.compile(r"\breasonrl: (.+)")


def warn(text: str) -> None:
    """Called in a process of verl: the terminal of the launch shows `text` as a warning. It travels in verl's log."""
    print(f"reasonrl: {text}", flush=True)


class Watch:
    """Call this regularly. `console` gets what was added to metrics.jsonl and verl's log since."""

    def __init__(self, folder: Path, log: Path, console: TrainConsole, stop_requested: Callable[[], bool]) -> None:
        self._metrics = folder / "metrics.jsonl"
        self._rows, self._log = NewLines(self._metrics), NewLines(log)
        self.console, self._stop_requested, self._stop = console, stop_requested, folder / "verl" / STOP
        self.started = False
        """Whether a step of this launch has been seen."""
        self._stop.unlink(missing_ok=True)

    def __call__(self) -> None:
        for line in itertools.chain.from_iterable(map(str.splitlines, self._log)):
            if warning := _WARNING.search(line):
                self.console.warn(warning[1])
        for row in self._new_rows():
            if row["kind"] != "train":
                self.console.evaluation(row)
                continue
            if not self.started:
                self.console.start(row.get("time/step_s") or 0.0)
                self.started = True
            self.console.step(row)
        if self._stop_requested():
            self._stop.touch()

    def _new_rows(self) -> Iterator[Row]:
        """A row that cannot be read is a warning: the run itself continues."""
        for line in self._rows:
            try:
                row = metric_row(f"{line}\n".encode(), f"{self._metrics}, a new row")
            except UsageError as error:
                self.console.warn(str(error))
                continue
            if row is not None:
                yield row


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
        yield from new.decode(errors="replace").split("\n")[:-1]
