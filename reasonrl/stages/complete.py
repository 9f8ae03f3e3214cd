"""Whether a stage is complete, and by the recipe that its folder holds."""

from __future__ import annotations

from pathlib import Path

from reasonrl.errors import UsageError
from reasonrl.recipe.differences import recipe_differences
from reasonrl.recipe.reading import stage_text
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.checkpoint import newest_checkpoint
from reasonrl.runs.inputs import read_inputs
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


def refuse_other_recipe(recipe: Recipe, folder: Path) -> None:
    """Call this for a complete stage that is resumed. Raises UsageError where it was trained with another recipe, which
    the folder would no longer show. A stage that an earlier version began has no record of it.
    """
    record = read_inputs(folder)
    if record is None or "recipe" not in record:
        return
    if changed := recipe_differences(record["recipe"], stage_text(recipe)):
        listed = "".join(f"\n  - {difference}" for difference in changed)
        raise UsageError(
            f"{folder} is complete, and was trained with another recipe than recipe.yaml now holds.{listed}\nWrite the"
            " old values back; for a run with the new ones write run_dir=ANOTHER_FOLDER"
        )
