"""Checkpoints of verl: which are complete, what is exported, and which evaluations were made at them.

verl records a checkpoint before our part of it is written, and removes the previous one while it writes the next. Our
mark is therefore written last, and a launch first sets verl's record to the newest checkpoint that has the mark.
"""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from reasonrl.errors import TrainingError
from reasonrl.host.files import replace_text
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.checkpoint import MANIFEST, list_checkpoints, write_folder
from reasonrl.runs.folder import RunFolder
from reasonrl.runs.reading import eval_sets, metric_rows
from reasonrl.update.pipeline import UpdatePipeline
from reasonrl.verl_backend.convert import NOTE

OUR_PART = "reasonrl"
"""Folder of our part in a checkpoint of verl."""
_MARK = "complete"


def save_state(checkpoint: Path, pipeline: UpdatePipeline) -> None:
    """Write the state of `pipeline` into our part of a checkpoint of verl."""
    folder = checkpoint / OUR_PART
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(pipeline.tensors(), folder / "tensors.pt")
    (folder / "state.json").write_text(json.dumps(pipeline.state_dict()), encoding="utf-8")


def load_state(checkpoint: Path, pipeline: UpdatePipeline) -> None:
    """Read what `save_state` wrote. Raises TrainingError for a checkpoint without it, or where it is damaged."""
    folder = checkpoint / OUR_PART
    if not (folder / "state.json").is_file():
        raise TrainingError(
            f"{folder} is missing: this checkpoint was not written by reasonrl. Write run_dir=ANOTHER_FOLDER"
        )
    try:
        pipeline.load_state_dict(json.loads((folder / "state.json").read_text(encoding="utf-8")))
        pipeline.load_tensors(torch.load(folder / "tensors.pt", weights_only=True))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, EOFError, RuntimeError, UnpicklingError) as error:
        raise TrainingError(
            f"{folder} is damaged ({str(error).splitlines()[0] if str(error) else type(error).__name__}). Remove"
            f" {checkpoint} to resume from an earlier checkpoint"
        ) from error


def publish_checkpoint(run: RunFolder, checkpoint: Path, step: int, keep_last: int) -> None:
    """The exported weights of `checkpoint` as checkpoints/step-N, the checkpoint marked complete, and no more than
    `keep_last` of both.
    """
    exported = checkpoint / "actor" / "huggingface"
    if any(exported.glob("*.safetensors")):
        write_folder(run.checkpoints / f"step-{step:06d}", functools.partial(_copy, exported), {"step": step})
        for old in list_checkpoints(run.checkpoints)[:-keep_last]:
            shutil.rmtree(old.path)
    mark_complete(checkpoint)
    for old_checkpoint in complete_checkpoints(checkpoint.parent)[:-keep_last]:
        shutil.rmtree(old_checkpoint)


def keep_best(run: RunFolder, step: int, accuracy: float) -> None:
    """best/, of the steps that were saved: verl saves before it evaluates, and weights that it has not written are not
    here.
    """
    saved, best = run.checkpoints / f"step-{step:06d}", run.path / "best"
    before = _accuracy_of(best) if best.is_dir() else -1.0
    if saved.is_dir() and accuracy > before:
        write_folder(best, functools.partial(_copy, saved), {"step": step, "accuracy": accuracy})


def _accuracy_of(best: Path) -> float:
    """The accuracy in its manifest. -1 where that is damaged: the folder is then written anew."""
    try:
        return float(json.loads((best / MANIFEST).read_text(encoding="utf-8"))["accuracy"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return -1.0


def mark_complete(checkpoint: Path) -> None:
    """The last thing that is written of a checkpoint."""
    (checkpoint / OUR_PART / _MARK).touch()


def complete_checkpoints(folder: Path) -> list[Path]:
    """The global_step_N folders in `folder` that are complete, oldest first."""
    marked = [path.parent.parent for path in folder.glob(f"global_step_*/{OUR_PART}/{_MARK}")]
    return sorted(marked, key=lambda path: int(path.name.rpartition("_")[2]))


def discard_incomplete(folder: Path) -> None:
    """Before a launch: remove incomplete checkpoints, and set verl's record to the newest complete one."""
    complete = complete_checkpoints(folder)
    for path in folder.glob("global_step_*"):
        if path not in complete:
            shutil.rmtree(path)
    note = folder / NOTE
    if complete:
        replace_text(note, complete[-1].name.rpartition("_")[2])
    else:
        note.unlink(missing_ok=True)


def evaluations_at(folder: Path, step: int) -> dict[str, dict[str, Any]]:
    """By held-out set, the row of metrics.jsonl of its evaluation at `step`. Raises UsageError for a damaged row."""
    rows = metric_rows(folder / "metrics.jsonl")
    return {name: row for row in rows if row["kind"] == "eval" and row["step"] == step for name in eval_sets([row])}


def evaluations_left(folder: Path, recipe: Recipe, step: int) -> list[str]:
    """Held-out sets that were not evaluated at `step`."""
    spec, done = recipe.evaluation, evaluations_at(folder, step)
    return [name for name in recipe.data.heldout if name not in done] if spec.greedy or spec.samples_per_problem else []


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
