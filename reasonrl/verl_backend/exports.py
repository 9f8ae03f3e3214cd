"""Checkpoints of verl: which of them are whole, what of them is exported, and what was evaluated at them.

verl notes a checkpoint before we are done with it, and removes the one before while it writes the next. Here the last
thing that is written is a mark of ours; a launch begins by setting verl's note to the newest checkpoint that has it.
"""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path
from typing import Any

from reasonrl.recipe.schema import Recipe
from reasonrl.runs.checkpoint import MANIFEST, list_checkpoints, write_folder
from reasonrl.runs.folder import RunFolder
from reasonrl.runs.reading import eval_sets
from reasonrl.verl_backend.convert import NOTE

_MARK = "complete"


def keep_exported(run: RunFolder, exported: Path, step: int, keep_last: int) -> None:
    """`exported` as checkpoints/step-N, and no more than `keep_last` of them."""
    if any(exported.glob("*.safetensors")):
        write_folder(run.checkpoints / f"step-{step:06d}", functools.partial(_copy, exported), {"step": step})
        for old in list_checkpoints(run.checkpoints)[:-keep_last]:
            shutil.rmtree(old.path)


def keep_best(run: RunFolder, step: int, accuracy: float) -> None:
    """best/, of the steps that were saved: verl saves before it evaluates, and weights that it has not written are not
    here.
    """
    saved, best = run.checkpoints / f"step-{step:06d}", run.path / "best"
    before = json.loads((best / MANIFEST).read_text(encoding="utf-8"))["accuracy"] if best.is_dir() else -1.0
    if saved.is_dir() and accuracy > before:
        write_folder(best, functools.partial(_copy, saved), {"step": step, "accuracy": accuracy})


def complete(checkpoint: Path) -> None:
    (checkpoint / "reasonrl" / _MARK).touch()


def complete_steps(checkpoints: Path) -> list[Path]:
    """global_step_N folders that everything was written of, oldest first."""
    found = [path.parent.parent for path in checkpoints.glob(f"global_step_*/reasonrl/{_MARK}")]
    return sorted(found, key=lambda path: int(path.name.rpartition("_")[2]))


def settle(checkpoints: Path) -> None:
    """Before a launch: what a kill has left half written is removed, and verl's note names the newest that is whole."""
    whole = complete_steps(checkpoints)
    for path in checkpoints.glob("global_step_*"):
        if path not in whole:
            shutil.rmtree(path)
    note = checkpoints / NOTE
    if whole:
        temporary = note.with_suffix(".tmp")
        temporary.write_text(whole[-1].name.rpartition("_")[2], encoding="utf-8")
        temporary.replace(note)
    else:
        note.unlink(missing_ok=True)


def evaluations_at(folder: Path, step: int) -> dict[str, dict[str, Any]]:
    """By held-out set, the row of metrics.jsonl of its evaluation at `step`."""
    path = folder / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    return {name: row for row in rows if row["kind"] == "eval" and row["step"] == step for name in eval_sets([row])}


def evaluations_left(folder: Path, recipe: Recipe, step: int) -> list[str]:
    """Held-out sets that were not evaluated at `step`."""
    spec, done = recipe.evaluation, evaluations_at(folder, step)
    return [name for name in recipe.data.heldout if name not in done] if spec.greedy or spec.samples_per_problem else []


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
