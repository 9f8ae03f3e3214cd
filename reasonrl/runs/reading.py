"""Reads a run folder, also while a trainer is still writing it.

`Run.open(path)` checks that the folder is a run, with a clear message if it is not. Metrics are read whole (one short
row a step); samples are read lazily through `SampleIndex`.
"""

from __future__ import annotations

import json
import math
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reasonrl.errors import UsageError
from reasonrl.runs.samples import SampleFilter, SampleIndex, is_torn, torn_row

Row = dict[str, Any]
_LARGEST = sys.float_info.max
_DAMAGED = "The file is damaged: remove that line to read the rest."


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """One folder under checkpoints/. Complete means that its manifest was written, which happens last."""

    step: int
    path: Path
    complete: bool


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder: `recipe` and `info` (run.json) as they were when opened, metrics and samples as they are now."""

    path: Path
    recipe: dict[str, Any]
    info: dict[str, Any]
    samples: SampleIndex = field(repr=False)

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open a run folder.

        Raises:
            UsageError: there is no such folder, it is not a run, or recipe.yaml or run.json cannot be read.
        """
        folder = Path(path)
        if not folder.exists():
            raise UsageError(f"{folder}: no such folder. Give the run_dir of a training run.")
        if not folder.is_dir():
            raise UsageError(f"{folder} is a file. Give the folder of a run, the one that holds recipe.yaml.")
        stages = sorted(inner.parent for inner in folder.glob("stages/*/recipe.yaml"))
        if stages and not (folder / "metrics.jsonl").exists():
            raise UsageError(
                f"{folder} is a run in stages. Give one of them: {', '.join(str(stage) for stage in stages)}"
            )
        if not (folder / "recipe.yaml").is_file():
            hint = hint_of_nearby_run(folder) or " Give the run_dir of a training run."
            raise UsageError(f"{folder} is not a run: it holds no recipe.yaml.{hint}")
        info = json_object(folder / "run.json") if (folder / "run.json").is_file() else {}
        return cls(folder, _yaml_object(folder / "recipe.yaml"), info, SampleIndex(folder / "samples.jsonl"))

    @property
    def name(self) -> str:
        return str(self.recipe.get("name") or self.path.resolve().name)

    @property
    def model(self) -> str | None:
        """The model that the recipe names, if it names one."""
        model = self.recipe.get("model")
        path = model.get("path") if isinstance(model, dict) else model
        return path if isinstance(path, str) else None

    @property
    def session(self) -> dict[str, Any]:
        """What run.json says of the session that started the run: started, command, versions, machine. Empty when
        unknown.
        """
        return first_session(self.info)

    @property
    def command(self) -> str | None:
        """The command line that started the run."""
        command = self.session.get("command")
        return (
            shlex.join(map(str, command))
            if isinstance(command, list)
            else command
            if isinstance(command, str)
            else None
        )

    def metrics(self, kind: str | None = None) -> list[Row]:
        """The rows of metrics.jsonl, of one kind ("train", "eval", "sft") or all. Empty before the first is written.

        Raises:
            UsageError: a line other than a torn last one is not a row of metrics.
        """
        rows = metric_rows(self.path / "metrics.jsonl")
        return [row for row in rows if kind is None or row["kind"] == kind]

    def series(self, name: str, kind: str | None = None) -> list[tuple[int, float]]:
        """(step, value) of one metric, without the rows that lack it or hold no finite number."""
        return series(self.metrics(kind), name)

    def eval_sets(self) -> list[str]:
        """The names of the evaluation sets in the metrics, in order of appearance."""
        return eval_sets(self.metrics("eval"))

    def checkpoints(self) -> list[CheckpointInfo]:
        """The checkpoints on disk by step, those still being written included (`complete` is False)."""
        checkpoints = []
        for folder in sorted((self.path / "checkpoints").glob("step-*")):
            number = folder.name.removeprefix("step-")
            if folder.is_dir() and number.isascii() and number.isdigit():
                checkpoints.append(CheckpointInfo(int(number), folder, (folder / "manifest.json").is_file()))
        return sorted(checkpoints, key=lambda checkpoint: checkpoint.step)

    def torn_rows(self) -> list[str]:
        """Last rows that were cut off while they were written, which readers leave out: `FILE, row 12`."""
        files = (self.path / name for name in ("metrics.jsonl", "samples.jsonl"))
        return [f"{file}, row {row}" for file in files if (row := torn_row(file)) is not None]

    def eval_outcomes(self, step: int, set_name: str | None, mode: str) -> dict[str, list[bool | None]]:
        """Problem id -> its answers in one evaluation: right, wrong, or None where an answer could not be judged."""
        outcomes: dict[str, list[bool | None]] = {}
        wanted = SampleFilter(kind="eval", step=step, set=set_name, mode=mode)
        for key in self.samples.scan():
            if wanted.takes(key):
                outcomes.setdefault(key.problem_id, []).append(key.correct)
        return outcomes


def first_session(info: dict[str, Any]) -> dict[str, Any]:
    """Of run.json, the session that started the run; empty where it is unknown."""
    sessions = info.get("sessions")
    return sessions[0] if isinstance(sessions, list) and sessions and isinstance(sessions[0], dict) else {}


def series(rows: list[Row], name: str) -> list[tuple[int, float]]:
    """(step, value) of one metric in these rows, without the rows that lack it or hold no finite number."""
    return [(int(row["step"]), float(row[name])) for row in rows if _is_number(row.get(name))]


def eval_sets(rows: list[Row]) -> list[str]:
    """The names of the evaluation sets in these rows, in order of appearance."""
    return list(
        dict.fromkeys(
            name.split("/")[1] for row in rows for name in row if name.startswith("eval/") and name.count("/") == 2
        )
    )


def metric_rows(path: Path) -> list[Row]:
    """The rows of a metrics.jsonl. A number that is not finite, which older versions wrote, is None as in newer files.

    Raises:
        UsageError: a line other than a torn last one is not a row of metrics.
    """
    if not path.exists():
        return []
    with path.open("rb") as file:
        rows = [metric_row(line, f"{path}, row {number}") for number, line in enumerate(file, 1)]
    return [row for row in rows if row is not None]


def metric_row(line: bytes, place: str) -> Row | None:
    """One line of metrics.jsonl; None for an empty line, and for a torn one, which has no line end.

    Raises:
        UsageError: it is not an object with a kind, a step, and numbers or null. The message begins with `place`.
    """
    row = _row(line, place)
    if row is None:
        return None
    if not isinstance(row.get("kind"), str) or not _is_count(row.get("step")):
        raise UsageError(f"{place}: expected an object with kind, step. {_DAMAGED}")
    for name, value in row.items():
        if isinstance(value, int | float) and not abs(value) <= _LARGEST:
            row[name] = None  # 1e999
        elif "/" in name and not isinstance(value, int | float | None):
            raise UsageError(f"{place}: {name} is not a number. {_DAMAGED}")
    return row


def read_rows(path: Path, required: tuple[str, ...] = ()) -> Iterator[Row]:
    """The objects of a JSONL file, one a line. A torn last line, which a running writer may leave, is skipped; no file
    means no rows.

    Raises:
        UsageError: a line in the middle is not a JSON object, or lacks a required key.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            row = _row(line, f"{path}, row {number}")
            if row is None:
                continue
            lacking = [key for key in required if key not in row]
            if lacking:
                raise UsageError(f"{path}, row {number}: expected an object with {', '.join(required)}. {_DAMAGED}")
            yield row


def _row(line: bytes, place: str) -> Row | None:
    if not line.strip():
        return None
    try:
        row = json.loads(line, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        if is_torn(line):
            return None
        raise UsageError(f"{place}: not JSON ({error}). {_DAMAGED}") from error
    if not isinstance(row, dict):
        raise UsageError(f"{place}: expected an object with fields. {_DAMAGED}")
    return row


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def hint_of_nearby_run(folder: Path) -> str:
    """A hint when the run is one folder further down or up; else empty."""
    below = sorted(inner.parent for inner in folder.glob("*/recipe.yaml"))
    if below:
        return f" Did you mean {' or '.join(str(inner) for inner in below[:3])}?"
    above = next((outer for outer in list(folder.resolve().parents)[:2] if (outer / "recipe.yaml").is_file()), None)
    return f" Did you mean {above}?" if above else ""


def json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises UsageError where there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON ({error}). The file is damaged: restore it, or remove it.") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: expected a JSON object. The file is damaged: restore it, or remove it.")
    return value


def _yaml_object(path: Path) -> dict[str, Any]:
    import yaml

    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: expected a mapping of recipe fields.")
    return value
