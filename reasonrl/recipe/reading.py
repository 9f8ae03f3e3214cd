"""Reading recipe files: where they are, overrides, stages, and error messages that a person can act on."""

from __future__ import annotations

import contextlib
import copy
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from reasonrl.errors import RecipeError
from reasonrl.recipe.messages import Places, explain, follows, invalid_part, line_numbers
from reasonrl.recipe.schema import Recipe

_NOTHING = object()


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe file after overrides: one or more complete stages."""

    name: str
    source: str
    raw: dict[str, Any]
    """The file with its overrides, which is what the run folder keeps: loading it again gives the same stages."""
    stages: list[Recipe]

    @property
    def staged(self) -> bool:
        return "stages" in self.raw


def shipped_recipes() -> Path:
    """The folder of the recipes that come with reasonrl: inside the wheel, or in the checkout."""
    package = Path(__file__).parents[1]
    packaged = package / "_recipes"
    return packaged if packaged.is_dir() else package.parent / "recipes"


def find_recipe(name: str) -> Path:
    """A path to a YAML file, a folder that holds recipe.yaml, or the name of a shipped recipe."""
    path = Path(name)
    if path.is_dir() and (path / "recipe.yaml").is_file():
        return path / "recipe.yaml"
    if path.is_file():
        return path
    shipped = shipped_recipes() / name / "recipe.yaml"
    if shipped.is_file() and "/" not in name:
        return shipped
    names = sorted(p.parent.name for p in shipped_recipes().glob("*/recipe.yaml"))
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise RecipeError(
        f"no recipe '{name}': {hint}Shipped recipes are {', '.join(names)}; a path to a .yaml file works too"
    )


def load_recipe(name: str, overrides: Sequence[str] = ()) -> LoadedRecipe:
    """Read, override and check a recipe. Raises RecipeError that lists every mistake."""
    path = find_recipe(name)
    return parse_recipe(_read(path), str(path), overrides)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a recipe file, unchecked."""
    return _mapping(_read(path), str(path))


def parse_recipe(text: str, source: str, overrides: Sequence[str] = ()) -> LoadedRecipe:
    """Read a recipe from its text; `source` names it in messages. Raises RecipeError that lists every mistake."""
    raw = _mapping(text, source)
    problems: list[str] = []
    lines = line_numbers(text)
    for override in overrides:
        path = _apply_override(raw, override, problems)
        for place in [place for place in lines if path and place[: len(path)] == path]:
            del lines[place]  # what is wrong there is not in the file
    stages = _stages(raw, problems)
    recipes = []
    for index, stage in stages:
        recipe, mistakes = _validate(stage, lines, index)
        problems += [p for p in mistakes if p not in problems]
        if recipe is not None:
            recipes.append(recipe)
    if problems:
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        raise RecipeError(f"{source}: {count}\n" + "\n".join(f"  - {p}" for p in problems))
    return LoadedRecipe(str(raw["name"]), source, raw, recipes)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read as text: {error}") from error


def _mapping(text: str, source: str) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{source} is not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise RecipeError(f"{source}: a recipe is a mapping of keys to values, e.g. 'name: my-run'")
    return raw


def _validate(stage: dict[str, Any], lines: Places, index: int | None) -> tuple[Recipe | None, list[str]]:
    """The recipe, or every mistake in it.

    Checks across fields do not run while a field is wrong, so wrong values are taken out (their defaults stand in) and
    the rest is checked again. A mistake that the second look finds at a place that was taken out is a consequence, and
    is not told.
    """
    problems: list[str] = []
    removed: list[tuple[Any, ...]] = []
    stage = copy.deepcopy(stage)
    while True:
        try:
            recipe = Recipe.model_validate(stage)
            return (None if problems else recipe), problems
        except ValidationError as error:
            told = [
                text
                for at, text in explain(error, lines, index)
                if not any(follows(at, text, gone) for gone in removed)
            ]
            problems += [text for text in told if text not in problems]
            places = [invalid_part(stage, item) for item in error.errors(include_url=False, include_context=False)]
            if not any(places):
                return None, problems
            removed += [place for place in places if place]


def _stages(raw: dict[str, Any], problems: list[str]) -> list[tuple[int | None, dict[str, Any]]]:
    if "stages" not in raw:
        return [(None, raw)]
    base = {key: value for key, value in raw.items() if key != "stages"}
    stages = raw["stages"]
    if not isinstance(stages, list) or not stages or not all(isinstance(s, dict) for s in stages):
        problems.append("stages: expected a list of stages, each a mapping with name and kind")
        return []
    names = [stage.get("name") for stage in stages]
    for i, name in enumerate(names):
        if not isinstance(name, str) or not name.replace("-", "").replace("_", "").isalnum():
            problems.append(f"stages.{i}.name: expected a word of letters, digits, - and _, got {name!r}")
        elif name in names[:i]:
            problems.append(f"stages.{i}.name: '{name}' is taken by an earlier stage")
    return [(i, _merged(base, stage)) for i, stage in enumerate(stages)]


def _hidden_by_stages(raw: dict[str, Any], path: Sequence[str], value: str) -> list[str]:
    """Stages that set a key of their own, so that an override of the common part would not reach them."""
    hidden = []
    for i, stage in enumerate(raw.get("stages") or [] if isinstance(raw.get("stages"), list) else []):
        at: Any = stage
        for step in path:
            at = at.get(step, _NOTHING) if isinstance(at, dict) else _NOTHING
        if at is not _NOTHING:
            hidden.append(f"stages.{i}.{'.'.join(path)}={value}")
    return hidden


def _merged(base: Any, over: Any) -> Any:
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return {**base, **{key: _merged(base.get(key), value) for key, value in over.items()}}
    return over


def _apply_override(raw: dict[str, Any], override: str, problems: list[str]) -> tuple[Any, ...]:
    """Lay `key=value` over a recipe. Returns where, or () with a line in `problems` when that cannot be done."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        problems.append(f"override '{override}': expected key=value, e.g. train.steps=20")
        return ()
    try:
        value = yaml.safe_load(text) if text else None
    except yaml.YAMLError:
        problems.append(f"override '{override}': the value is not valid YAML; quote it")
        return ()
    if hidden := _hidden_by_stages(raw, key.split("."), text):
        problems.append(
            f"override '{override}': would have no effect, since a stage sets this key itself; write"
            f" {' or '.join(hidden)}"
        )
        return ()
    if isinstance(value, str) and value == text:  # not quoted
        with contextlib.suppress(ValueError):
            value = float(value)  # YAML 1.1 reads 1e-5 as a string
    at: Any = raw
    place: list[Any] = []
    *path, last = key.split(".")
    for step in path:
        place.append(int(step) if isinstance(at, list) and step.isdigit() else step)
        if isinstance(at, list) and step.isdigit() and int(step) < len(at):
            at = at[int(step)]
        elif isinstance(at, dict):
            if not isinstance(at.get(step), dict | list):
                at[step] = {"name": at[step]} if isinstance(at.get(step), str) else {}
            at = at[step]
        else:
            problems.append(f"override '{override}': there is nothing at '{step}'")
            return ()
    if isinstance(at, list):
        if not last.isdigit() or int(last) >= len(at):
            problems.append(f"override '{override}': '{last}' is no index of a list of {len(at)}")
            return ()
        at[int(last)] = value
        return (*place, int(last))
    at[last] = value
    return (*place, last)
