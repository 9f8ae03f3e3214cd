"""What a stage takes from the stages before it: `stage:NAME` is the model that it ended with, `stage:NAME/SET` a file
that it collected.

Recipes keep the links; they become paths only when a stage is run or evaluated, so a run folder can be moved.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from reasonrl.errors import RecipeError
from reasonrl.recipe.schema import Recipe

PREFIX = "stage:"


def links_of(recipe: Recipe) -> list[tuple[str, str]]:
    """(field, link) of every link in a stage; `init_from` names a stage without the prefix."""
    found: list[tuple[str, str]] = []

    def note(field: str, value: str) -> str:
        if value.startswith(PREFIX):
            found.append((field, value))
        return value

    _walk(recipe.model_dump(mode="json"), "", note)
    return found


def check_links(stages: list[Recipe]) -> None:
    """Raises RecipeError for a link to a stage that does not come before, or that does not give what is asked for."""
    for place, recipe in enumerate(stages):
        before = {stage.name: stage for stage in stages[:place]}
        if recipe.init_from is not None and recipe.init_from in {stage.name for stage in stages[place:]}:
            raise RecipeError(f"stages.{place}.init_from: '{recipe.init_from}' does not come before '{recipe.name}'")
        for field, link in links_of(recipe):
            name, _, file = link.removeprefix(PREFIX).partition("/")
            where = f"stages.{place}.{field}: '{link}'"
            if name not in before:
                raise RecipeError(
                    f"{where} names no stage before '{recipe.name}'; there are {', '.join(before) or 'none'}"
                )
            source = before[name]
            known = {"collect": ["train", *source.data.heldout], "game": ["critic", "sneaky"]}.get(source.kind, [])
            if file and not known:
                raise RecipeError(
                    f"{where}: '{name}' is of kind {source.kind} and collects nothing; name a stage of kind collect or"
                    " game"
                )
            if not file and known:
                raise RecipeError(f"{where}: '{name}' collects problems and has no model; write {link}/{known[0]}")
            if file and file not in known:
                raise RecipeError(f"{where}: '{name}' collects {', '.join(known)}, not '{file}'")


def with_paths(recipe: Recipe, run_dir: Path, model_of: Callable[[Path], Path]) -> Recipe:
    """The stage with paths for its links. `model_of` gives the newest model of a stage's folder."""

    def path(field: str, value: str) -> str:
        if not value.startswith(PREFIX):
            return value
        name, _, file = value.removeprefix(PREFIX).partition("/")
        folder = stage_folder(run_dir, name, field)
        if not file:
            return str(model_of(folder))
        target = folder / f"{file}.jsonl"
        if not target.exists():
            raise RecipeError(f"{field}: {value} is not there yet: {target}. Run the stage '{name}' first")
        return str(target)

    return Recipe.model_validate(_walk(recipe.model_dump(mode="json"), "", path)) if links_of(recipe) else recipe


def stage_folder(run_dir: Path, name: str, field: str = "init_from") -> Path:
    """The folder of a stage of this run. Raises RecipeError when there is none."""
    found = [folder for folder in run_dir.glob("stages/*") if folder.name.partition("-")[2] == name]
    if not found:
        raise RecipeError(f"{field}: {run_dir} has no stage '{name}'")
    return found[0]


def _walk(value: Any, field: str, change: Callable[[str, str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _walk(inner, f"{field}.{key}".lstrip("."), change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_walk(inner, f"{field}.{i}", change) for i, inner in enumerate(value)]
    return change(field, value) if isinstance(value, str) else value
