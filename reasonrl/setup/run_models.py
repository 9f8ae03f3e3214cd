"""From a run folder, or a stage's, to its newest model; and what a folder of weights was trained to be."""

from __future__ import annotations

from pathlib import Path

from reasonrl.errors import RecipeError
from reasonrl.recipe.reading import load_recipe
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.checkpoint import list_checkpoints

JUDGES = ("rl", "offline")


def newest_model(folder: Path) -> Path:
    """The newest complete checkpoint of a stage, or of the last stage of a run that has one. Raises RecipeError when
    there is none.
    """
    stages = sorted((folder / "stages").glob("*/checkpoints")) or [folder / "checkpoints"]
    for stage in reversed(stages):
        if complete := list_checkpoints(stage):
            return complete[-1].path
    raise RecipeError(f"{folder} has no complete checkpoint yet")


def weights_of(name: str) -> str:
    """What a recipe names as a model: a run folder, or a stage's, stands for its newest checkpoint. Raises RecipeError
    for one without.
    """
    path = Path(name).expanduser()
    return str(newest_model(path)) if (path / "recipe.yaml").is_file() else name


def model_for_role(role: str, name: str) -> str:
    """What a recipe names as the model of a role.

    Raises RecipeError for weights that were trained to judge where a role solves or writes: they would answer with a
    verdict.
    """
    path = Path(weights_of(name)).expanduser()
    recipe = path.parent.parent / "recipe.yaml"
    if role in ("actor", "solver", "sneaky", "completer") and path.parent.name == "checkpoints" and recipe.is_file():
        stage = load_recipe(str(recipe)).stages[-1]
        if stage.critic is not None and not stage.critic.policy_rows and stage.kind in JUDGES:
            raise RecipeError(
                f"the {role}'s model {name} was trained as a critic (stage {stage.name}): it judges, it does not solve;"
                " name another"
            )
    return str(path) if path.is_dir() else name


def runs_elsewhere(recipe: Recipe) -> bool:
    """Whether another backend runs this stage, with engines of its own."""
    return recipe.kind == "rl" and recipe.backend != "local"
