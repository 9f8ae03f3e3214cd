"""Finds the newest model of a run folder or a stage's folder, and what a folder of weights was trained to do."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from reasonrl.errors import RecipeError
from reasonrl.host.outputs import user_path
from reasonrl.recipe.kinds import KINDS
from reasonrl.recipe.reading import load_recipe
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.checkpoint import incomplete_checkpoints, list_checkpoints

SOLVERS = ("actor", "solver", "sneaky", "completer")
"""Roles that solve or write. A model that was trained to judge would answer with a verdict instead."""


def newest_model(folder: Path) -> Path:
    """The newest complete checkpoint of a stage, or of the last stage of a run that has one. A newer one that is
    incomplete is named on standard error.

    Raises:
        RecipeError: there is none.
    """
    stages = sorted((folder / "stages").glob("*/checkpoints")) or [folder / "checkpoints"]
    incomplete = ""
    for stage in reversed(stages):
        torn = [f"{checkpoint.path} is incomplete ({reason})" for checkpoint, reason in incomplete_checkpoints(stage)]
        if checkpoints := list_checkpoints(stage):
            for what in torn:
                _note(f"{what}; using {checkpoints[-1].path}")
            return checkpoints[-1].path
        incomplete += "".join(f" {what}." for what in torn)
    raise RecipeError(f"{folder} has no complete checkpoint yet.{incomplete} Train it first, or resume it")


@cache
def _note(text: str) -> None:
    """Once: a command asks for the model several times."""
    print(f"note: {text}", file=sys.stderr, flush=True)


def weights_of(name: str, key: str = "model.path") -> str:
    """What a recipe names as a model, under this key: a run folder, or a stage's, stands for its newest checkpoint.

    Raises:
        RecipeError: the run has no checkpoint.
    """
    path = user_path(name, f"{key}:")
    return str(newest_model(path)) if (path / "recipe.yaml").is_file() else name


def model_for_role(role: str, name: str) -> str:
    """What a recipe names as the model of a role.

    Raises:
        RecipeError: the run has no checkpoint, or its model was trained to judge and the role solves or writes.
    """
    key = f"the model of the role {role}"
    path = user_path(weights_of(name, key), f"{key}:")
    recipe_file = path.parent.parent / "recipe.yaml"
    if role in SOLVERS and path.parent.name == "checkpoints" and recipe_file.is_file():
        stage = load_recipe(str(recipe_file)).stages[-1]
        if is_critic(stage):
            raise RecipeError(
                f"the {role}'s model {name} was trained as a critic (stage {stage.name}), which does not solve;"
                " name another model"
            )
    return str(path) if path.is_dir() else name


def is_critic(stage: Recipe) -> bool:
    """Whether the model that this stage ends with judges, and does nothing else."""
    return stage.critic is not None and not stage.critic.policy_rows and KINDS[stage.kind].learns_from_rewards


def runs_elsewhere(recipe: Recipe) -> bool:
    """Whether another backend runs this stage, with engines of its own."""
    return recipe.backend != "local" and KINDS[recipe.kind].runs_on_backends
