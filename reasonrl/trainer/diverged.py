"""What a user reads when a run's numbers are no longer finite: the step, what is saved, and what to change."""

from __future__ import annotations

from pathlib import Path

from reasonrl.errors import NotFiniteError
from reasonrl.recipe.schema import Recipe


def explain_divergence(error: NotFiniteError, recipe: Recipe, step: int, checkpoint: Path | None) -> NotFiniteError:
    """The error with `step`, 0 before the first one; `checkpoint` is the newest complete one of the stage."""
    words = str(error).removeprefix(f"step {step}: ")
    rounded = recipe.model.dtype != "float32"
    if step == 0:
        other_type = ", or write model.dtype: float32" if rounded else ""
        return NotFiniteError(
            f"before step 1: {words}. Nothing was trained. Name another model in model.path{other_type}"
        )
    settings = f"a lower optim.lr ({recipe.optim.lr:g} here)"
    settings += ", a lower rollout.temperature, or model.dtype: float32" if rounded else " or rollout.temperature"
    if users := [f"train.{key}: {name}" for key, name in _methods(recipe).items() if ":" in name]:
        settings += f"; or look for the reason in {' and '.join(users)}"
    if checkpoint is None:
        advice = f"Nothing was saved before it. Start again with {settings}"
    else:
        advice = (
            f"The newest checkpoint is {checkpoint}. Start a new run from it, or from an earlier one"
            f" (model.path={checkpoint} run_dir=ANOTHER_FOLDER), with {settings}"
        )
    return NotFiniteError(
        f"step {step}: {words}. The run has diverged, and nothing of this step is in a checkpoint. {advice}"
    )


def _methods(recipe: Recipe) -> dict[str, str]:
    """The advantage and the loss of the recipe, built in or `package.module:name`."""
    return {"advantage": recipe.train.advantage, "loss": recipe.train.loss}
