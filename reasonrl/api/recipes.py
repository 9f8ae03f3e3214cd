"""Recipes from Python: by name, from a file, or as a dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from reasonrl.errors import RecipeError
from reasonrl.host.outputs import user_text
from reasonrl.recipe import reading
from reasonrl.recipe.reading import LoadedRecipe

RecipeLike = str | Path | Mapping[str, Any] | LoadedRecipe
"""What names a recipe."""


def load_recipe(recipe: RecipeLike, *overrides: str) -> LoadedRecipe:
    """Read a recipe, apply overrides and check it. Nothing heavy is imported and nothing is run.

    Args:
        recipe: the name of a shipped recipe, a .yaml file, a folder that holds recipe.yaml, a dictionary with the keys
            of a recipe file, or a recipe that was loaded before.
        overrides: `key=value` as on the command line, such as "train.steps=5".

    Returns:
        The recipe. `stages` are its typed stages (one for a recipe without stages), `raw` is what a run folder keeps.

    Raises:
        RecipeError: there is no such recipe, or it has mistakes. The message lists all of them, with the file and the
            line where the recipe is a file.

    Example:
        recipe = load_recipe("quickstart", "train.steps=5", "optim.lr=1e-5")
        recipe.stages[0].optim.lr
    """
    if isinstance(recipe, LoadedRecipe):
        return _from_mapping(recipe.raw, recipe.source, overrides) if overrides else recipe
    if isinstance(recipe, Mapping):
        return _from_mapping(recipe, "recipe", overrides)
    return reading.load_recipe(user_text(str(recipe)), overrides)


def _from_mapping(recipe: Mapping[str, Any], source: str, overrides: tuple[str, ...]) -> LoadedRecipe:
    keys = _plain(recipe, "")
    # `stages` last: an override of a key that stages set themselves is refused
    ordered = sorted(keys, key=lambda key: key == "stages")
    # As overrides, because messages about these name no line: there is no file that the lines could be of.
    values = [f"{key}={yaml.safe_dump(keys[key], default_flow_style=True, allow_unicode=True)}" for key in ordered]
    return reading.parse_recipe("{}", source, [*values, *overrides])


def _plain(value: Any, place: str) -> Any:
    """A value as YAML holds it: paths as texts, tuples as lists. Raises RecipeError for what YAML cannot hold."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or (not place and "." in key):
                raise RecipeError(f"{place or 'recipe'}: keys are words such as 'train', not {key!r}")
        return {key: _plain(inner, f"{place}.{key}" if place else key) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, f"{place}.{index}") for index, inner in enumerate(value)]
    if isinstance(value, Path):
        return str(value)
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise RecipeError(
        f"{place}: a recipe holds texts, numbers, true, false, null, lists and dictionaries, not"
        f" {type(value).__name__}: {value!r:.60}"
    )
