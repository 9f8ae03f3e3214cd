"""Whether a stage is complete."""

from __future__ import annotations

from pathlib import Path

from reasonrl.recipe.schema import Recipe
from reasonrl.runs.checkpoint import newest_checkpoint
from reasonrl.setup.run_models import runs_elsewhere

SUMMARIES = {"collect": "collect.json", "game": "game.json"}
"""By kind: the file that a complete stage that gathers has written last."""


def is_complete(recipe: Recipe, folder: Path) -> bool:
    """Whether resuming the stage has nothing left to do. Raises CheckpointError for a damaged checkpoint."""
    if recipe.kind in SUMMARIES:
        return (folder / SUMMARIES[recipe.kind]).exists()
    checkpoint = newest_checkpoint(folder / "checkpoints")
    if checkpoint is None or checkpoint.step < recipe.total_steps:
        return False
    return runs_elsewhere(recipe) or bool(checkpoint.state().get("finished"))
