"""The problems that a run was trained on, for a check of overlap."""

from __future__ import annotations

from pathlib import Path

from reasonrl.recipe.reading import load_recipe
from reasonrl.setup.data import load_source
from verifiers.types import Problem

FROM_STAGE = "stage:"


def training_problems(run: Path, *, offline: bool) -> list[Problem]:
    """Of all stages of a run, as their sources have them. What an earlier stage wrote is made from its problems.

    Raises DataError for a source that cannot be read any more, RecipeError for a damaged recipe.
    """
    problems: list[Problem] = []
    for stage in load_recipe(str(run / "recipe.yaml")).stages:
        for source in (*stage.data.train_sources, *stage.data.replay_sources):
            if not source.source.startswith(FROM_STAGE):
                problems += load_source(source, offline=offline)
    return problems
