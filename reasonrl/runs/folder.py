"""The writing side of a run folder. Reading is in `reading.py`.

Rows are appended and flushed as they are made. A resumed run drops the rows after its checkpoint and writes them
again, so the files end up as if the run had never stopped. Where there is no checkpoint, the rows of the earlier
session are set aside.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reasonrl.errors import UsageError
from reasonrl.host.files import replace_text
from reasonrl.recipe.differences import recipe_differences
from reasonrl.recipe.reading import is_saved
from reasonrl.runs.console import TrainConsole
from reasonrl.runs.lock import entries, remove_empty, run_of
from reasonrl.runs.row_text import row_text
from reasonrl.runs.saved import changed_versions, saved_recipe, session_record

ROW_FILES = ("metrics.jsonl", "samples.jsonl")


class RunFolder:
    """One stage's folder: metrics.jsonl, samples.jsonl, tensorboard/, checkpoints/."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self._tensorboard: Any = None

    def open(self, *, after_step: int | None) -> None:
        """Start writing. `after_step`: the step of the checkpoint that is resumed; None starts from nothing.

        Raises UsageError for a damaged row.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if after_step is None:
            set_rows_aside(self.path)
        else:
            for name in ROW_FILES:
                keep_rows_until(self.path / name, after_step)
        from torch.utils.tensorboard import SummaryWriter

        purge = 0 if after_step is None else after_step + 1
        self._tensorboard = SummaryWriter(str(self.path / "tensorboard"), purge_step=purge)

    def add_metrics(self, row: Mapping[str, Any]) -> None:
        append_rows(self.path / "metrics.jsonl", [row])
        if self._tensorboard is not None:
            for key, value in row.items():
                if isinstance(value, int | float) and key not in ("step",):
                    self._tensorboard.add_scalar(key, value, row["step"])
            self._tensorboard.flush()

    def add_samples(self, rows: Iterable[Mapping[str, Any]]) -> None:
        append_rows(self.path / "samples.jsonl", rows)

    def close(self) -> None:
        if self._tensorboard is not None:
            self._tensorboard.close()
            self._tensorboard = None


def append_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append JSON rows whole or not at all: if the disk is full, the file is cut back to what it held before. They are
    valid JSON whatever the values are (`row_text`).
    """
    text = "".join(row_text(row) + "\n" for row in rows)
    with path.open("ab") as stream:
        size = stream.tell()
        try:
            stream.write(text.encode("utf-8"))
            stream.flush()
        except OSError:
            os.truncate(path, size)
            raise


def keep_rows_until(path: Path, step: int) -> None:
    """Drop rows of later steps, and a last line that a crash has torn. Raises UsageError for a damaged row."""
    if path.exists():
        replace_text(path, "".join(rows_until(path, step)))


def rows_until(path: Path, step: int) -> Iterator[str]:
    """The lines of a file of rows up to `step`. A damaged line after the first row of a later step is dropped with it.

    Raises:
        UsageError: a row is not a JSON object with a step.
    """
    if not path.exists():
        return
    is_later = False
    with path.open("rb") as file:
        # By the newline alone: a model may write other characters that str.splitlines takes for line ends.
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                row_step, text = int(json.loads(line)["step"]), line.decode("utf-8")
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
                if is_later:
                    continue
                raise UsageError(
                    f"{path}, row {number}: not a row of this file ({error}). The file is damaged: restore it, or"
                    " remove that line, then resume"
                ) from error
            if row_step <= step:
                yield text
            else:
                is_later = True


def set_rows_aside(path: Path) -> list[Path]:
    """Rename the files of rows to NAME.earlier-N.jsonl. Returns the new names; empty files are removed."""
    files = [path / name for name in ROW_FILES if (path / name).exists()]
    number = 1
    while any(_earlier(file, number).exists() for file in files):
        number += 1
    renamed = []
    for file in files:
        if file.stat().st_size:
            renamed.append(file.rename(_earlier(file, number)))
        else:
            file.unlink()
    return renamed


def warn_of_start_over(path: Path, console: TrainConsole) -> None:
    """For a stage that is resumed without a complete checkpoint: nothing is said where it had not written a row."""
    if any((path / name).is_file() and (path / name).stat().st_size for name in ROW_FILES):
        console.warn(
            f"{path} has no complete checkpoint, so it starts over from its first step. The rows of the earlier session"
            " are kept in metrics.earlier-N.jsonl and samples.earlier-N.jsonl. checkpoint.every_steps saves earlier"
        )


def _earlier(file: Path, number: int) -> Path:
    return file.with_name(f"{file.stem}.earlier-{number}.jsonl")


def run_facts(command: list[str]) -> dict[str, Any]:
    """What run.json keeps of one session: enough to know later what produced the numbers."""
    import importlib.metadata

    versions: dict[str, str | None] = {}
    for name in ("reasonrl", "torch", "transformers", "tokenizers", "numpy", "math-verify", "peft", "verl", "vllm"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": command,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu_count": os.cpu_count(),
        "versions": versions,
    }


def start_run(path: Path, recipe_yaml: str, *, resume: bool, other_recipe: bool = False) -> list[str]:
    """Write recipe.yaml and run.json into a run folder that the caller has locked, or check them when resuming.
    Returns the packages whose version differs from the last session's: "torch 2.8.0 -> 2.9.0".

    A run that failed before it had written anything, over a data set that was not found say, may be begun again with a
    corrected recipe.

    `other_recipe`: the recipe of the folder is replaced where it differs.

    Raises UsageError when the folder holds a run and `resume` is False, or holds another recipe.
    """
    record, changed = check_run(path, recipe_yaml, resume=resume, other_recipe=other_recipe)
    path.mkdir(parents=True, exist_ok=True)
    for leftover in _start_leftovers(path):
        leftover.unlink()
    # The recipe comes first: by it a later session sees that the folder is a run, wherever this one is killed.
    replace_text(path / "recipe.yaml", recipe_yaml)
    replace_text(path / "run.json", json.dumps(record, indent=1) + "\n")
    return changed


def check_run(
    path: Path, recipe_yaml: str, *, resume: bool, other_recipe: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """What `start_run` writes into run.json, and what it returns. Changes nothing, and raises the same."""
    recipe_file = path / "recipe.yaml"
    record: dict[str, Any] = {"sessions": []}
    if recipe_file.exists() and has_begun(path):
        if not resume:
            raise UsageError(f"{path} already holds a run. Continue it with --resume, or write run_dir=ANOTHER_FOLDER")
        differing = recipe_differences(saved_recipe(recipe_file), recipe_yaml)
        if differing and not other_recipe:
            listed = "".join(f"\n  - {difference}" for difference in differing)
            run = run_of(path)
            advice = f"Resume it with its own: reasonrl train {path} --resume"
            if run != path:
                advice = (
                    f"Write the old values into {run / 'recipe.yaml'}; or, where the stage is not complete, resume with"
                    " --allow-changes, which is recorded; or write run_dir=ANOTHER_FOLDER for a new run"
                )
            raise UsageError(
                f"{path} was started with another recipe, so it cannot be resumed with this one.{listed}\n{advice}"
            )
        if (path / "run.json").exists():
            record = session_record(path / "run.json")
    else:
        refuse_other_files(path)
    facts = run_facts(sys.argv)
    changed = changed_versions(record["sessions"][-1], facts) if record["sessions"] else []
    record["sessions"].append(facts)
    return record, changed


def refuse_other_files(path: Path) -> None:
    """Raises UsageError for a folder that holds files and is not a run. A run that was killed while it wrote its first
    file is no such folder.
    """
    if path.exists() and not (path / "recipe.yaml").exists() and set(entries(path)) - set(_start_leftovers(path)):
        raise UsageError(f"{path} exists, is not empty and is not a run. Write run_dir=ANOTHER_FOLDER")


def _start_leftovers(path: Path) -> list[Path]:
    """What a process leaves that was killed in `start_run`."""
    return [file for name in ("recipe.yaml", "run.json") for file in path.glob(f".{name}.*.tmp")]


def require_run(path: Path) -> None:
    """Call this before a run is resumed. Raises UsageError where `path` holds no run."""
    if (path / "recipe.yaml").is_file():
        return
    what = "is not a run" if path.exists() else "does not exist"
    near = sorted(str(found.parent) for found in path.parent.glob("*/recipe.yaml"))[-3:] if path.parent.is_dir() else []
    hint = f". Runs beside it: {', '.join(near)}" if near else ""
    raise UsageError(
        f"{path} {what}, so there is nothing to resume{hint}. Write run_dir=FOLDER of the run, or leave --resume out to"
        " start a new run"
    )


def has_begun(path: Path) -> bool:
    """Whether a run folder, or one of its stages, holds anything that was measured or saved."""
    folders = [path, *path.glob("stages/*")]
    rows = any((folder / name).is_file() and (folder / name).stat().st_size for folder in folders for name in ROW_FILES)
    return rows or any((folder / "checkpoints").is_dir() for folder in folders)


@contextmanager
def claimed_run_dir(root: Path, name: str) -> Iterator[Path]:
    """Make `ROOT/NAME`, `ROOT/NAME-2`, ...: the first that is free, and that no other process gets as well. It is
    removed at the end if nothing was written into it.
    """
    new_folders = [folder for folder in (root, *root.parents) if not folder.exists()]
    root.mkdir(parents=True, exist_ok=True)
    number = 1
    path = root / name
    while True:
        try:
            path.mkdir()
            break
        except FileExistsError:
            number += 1
            path = root / f"{name}-{number}"
    try:
        yield path
    finally:
        remove_empty([path, *new_folders])


def latest_run_dir(root: Path, name: str, source: str) -> Path:
    """The run to resume: the one that the recipe file `source` was saved in, or the newest of `ROOT/NAME`,
    `ROOT/NAME-2`, ...; `ROOT/NAME` where there is none.
    """
    recipe_file = Path(source)
    if recipe_file.is_file() and (is_saved(recipe_file) or has_begun(recipe_file.parent)):
        return recipe_file.parent  # run.json may be gone: its rows and checkpoints show that it is a run
    number = 1
    latest = path = root / name
    while path.exists():
        number += 1
        latest, path = path, root / f"{name}-{number}"
    return latest


@contextmanager
def run_dir_for(run_dir: Path | None, name: str, source: str, *, resume: bool) -> Iterator[Path]:
    """The folder of a run in the block: `run_dir` if given; else the run to resume, or a new folder in runs/."""
    if run_dir is not None:
        yield run_dir.expanduser()
    elif resume:
        yield latest_run_dir(Path("runs"), name, source)
    else:
        with claimed_run_dir(Path("runs"), name) as path:
            yield path
