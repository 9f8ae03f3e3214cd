"""The writing side of a run folder. Reading is in `reading.py`.

Rows are appended and flushed as they are made. A resumed run drops the rows after its checkpoint and writes them
again, so the files end up as if the run had never stopped.
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
from reasonrl.files import replace_text
from reasonrl.recipe.reading import is_saved, same_recipe
from reasonrl.runs.lock import entries, remove_empty


class RunFolder:
    """One stage's folder: metrics.jsonl, samples.jsonl, tensorboard/, checkpoints/."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self._tensorboard: Any = None

    def open(self, *, after_step: int | None) -> None:
        """Start writing. `after_step`: the step of the checkpoint that is resumed; None starts from nothing."""
        self.path.mkdir(parents=True, exist_ok=True)
        for name in ("metrics.jsonl", "samples.jsonl"):
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
    """Append JSON rows whole or not at all: if the disk is full, the file is cut back to what it held before."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    with path.open("ab") as stream:
        size = stream.tell()
        try:
            stream.write(text.encode("utf-8"))
            stream.flush()
        except OSError:
            os.truncate(path, size)
            raise


def keep_rows_until(path: Path, step: int | None) -> None:
    """Drop rows of later steps, and a last line that a crash has torn. `step` None drops all."""
    if not path.exists():
        return
    lines = []
    if step is not None:
        # By the newline alone: a model may write other characters that str.splitlines takes for line ends.
        for line in path.read_bytes().split(b"\n")[:-1]:
            if json.loads(line)["step"] <= step:
                lines.append(line.decode("utf-8") + "\n")
    replace_text(path, "".join(lines))


def run_facts(command: list[str]) -> dict[str, Any]:
    """What run.json keeps of one session: enough to know later what produced the numbers."""
    import importlib.metadata

    versions: dict[str, str | None] = {}
    for name in ("reasonrl", "torch", "transformers", "tokenizers", "numpy", "math-verify", "peft"):
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


def start_run(path: Path, recipe_yaml: str, *, resume: bool) -> None:
    """Write recipe.yaml and run.json into a run folder that the caller has locked, or check them when resuming.

    A run that failed before it had written anything, over a data set that was not found say, may be begun again with a
    corrected recipe.

    Raises UsageError when the folder holds a run and `resume` is False, or holds another recipe.
    """
    recipe_file = path / "recipe.yaml"
    record: dict[str, Any] = {"sessions": []}
    if recipe_file.exists() and has_begun(path):
        if not resume:
            raise UsageError(f"{path} already holds a run. Continue it with --resume, or write run_dir=ANOTHER_FOLDER")
        if not same_recipe(recipe_file.read_text(encoding="utf-8"), recipe_yaml):
            raise UsageError(
                f"{path} was started with another recipe, so it cannot be resumed with this one. "
                f"Resume it with its own: reasonrl train {path} --resume"
            )
        if (path / "run.json").exists():
            record = json.loads((path / "run.json").read_text(encoding="utf-8"))
    elif path.exists() and not recipe_file.exists() and entries(path):
        raise UsageError(f"{path} exists, is not empty and is not a run. Write run_dir=ANOTHER_FOLDER")
    path.mkdir(parents=True, exist_ok=True)
    record["sessions"].append(run_facts(sys.argv))
    replace_text(path / "run.json", json.dumps(record, indent=1) + "\n")
    replace_text(recipe_file, recipe_yaml)


def has_begun(path: Path) -> bool:
    """Whether a run folder, or one of its stages, holds anything that was measured or saved."""
    folders = [path, *path.glob("stages/*")]
    rows = any(
        (folder / name).is_file() and (folder / name).stat().st_size
        for folder in folders
        for name in ("metrics.jsonl", "samples.jsonl")
    )
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
    if recipe_file.is_file() and is_saved(recipe_file):
        return recipe_file.parent
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
        yield run_dir
    elif resume:
        yield latest_run_dir(Path("runs"), name, source)
    else:
        with claimed_run_dir(Path("runs"), name) as path:
            yield path
