"""Weights that verl has written for Hugging Face, where the rest of the house looks for them."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

from reasonrl.runs.checkpoint import MANIFEST, list_checkpoints, write_folder
from reasonrl.runs.folder import RunFolder


def keep_exported(run: RunFolder, exported: Path, step: int, keep_last: int) -> None:
    """`exported` as checkpoints/step-N, and no more than `keep_last` of them."""
    if any(exported.glob("*.safetensors")):
        write_folder(run.checkpoints / f"step-{step:06d}", functools.partial(_copy, exported), {"step": step})
        for old in list_checkpoints(run.checkpoints)[:-keep_last]:
            shutil.rmtree(old.path)


def keep_best(run: RunFolder, step: int, accuracy: float) -> None:
    """best/, of the steps that were saved: verl saves before it evaluates, and weights that it has not written are not here."""
    saved, best = run.checkpoints / f"step-{step:06d}", run.path / "best"
    before = json.loads((best / MANIFEST).read_text(encoding="utf-8"))["accuracy"] if best.is_dir() else -1.0
    if saved.is_dir() and accuracy > before:
        write_folder(best, functools.partial(_copy, saved), {"step": step, "accuracy": accuracy})


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
