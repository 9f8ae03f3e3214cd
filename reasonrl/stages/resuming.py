"""Where a resumed stage continues, and what is said about it."""

from __future__ import annotations

import os
from pathlib import Path

from reasonrl.errors import UsageError
from reasonrl.runs.checkpoint import Checkpoint, incomplete_checkpoints, newest_checkpoint
from reasonrl.runs.console import TrainConsole
from reasonrl.runs.folder import ROW_FILES, rows_until, warn_of_start_over


def checkpoint_to_resume(folder: Path, console: TrainConsole) -> Checkpoint | None:
    """The newest complete checkpoint of a stage; None where it starts from nothing. Incomplete ones are named, and so
    is a start from nothing where rows were written before.

    Raises:
        CheckpointError: a checkpoint is damaged or cannot be read.
        UsageError: metrics.jsonl or samples.jsonl is damaged, or `checkpoints` is not a folder.
    """
    checkpoints = folder / "checkpoints"
    if os.path.lexists(checkpoints) and not checkpoints.is_dir():
        raise UsageError(
            f"{checkpoints} is not a folder, so no checkpoint can be read or saved. Remove it, then resume"
        )
    checkpoint = newest_checkpoint(checkpoints)
    torn = incomplete_checkpoints(checkpoints)
    then = "starting over" if checkpoint is None else f"resuming from step {checkpoint.step}"
    for incomplete, reason in torn:
        console.warn(f"{incomplete.path} is incomplete ({reason}); {then}")
    if checkpoint is not None:
        for name in ROW_FILES:
            for _ in rows_until(folder / name, checkpoint.step):
                pass
    else:
        warn_of_start_over(folder, console)
    return checkpoint
