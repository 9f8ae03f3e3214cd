"""Reads recipe files: finds them, applies overrides, and splits them into stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from reasonrl.errors import RecipeError
from reasonrl.recipe.checking import check_stage, line_numbers
from reasonrl.recipe.kinds import KINDS
from reasonrl.recipe.overrides import OverrideError, apply_override
from reasonrl.recipe.schema import Recipe
from reasonrl.recipe.upgrade import upgraded
from reasonrl.recipe.yaml_text import AmbiguousYaml, load_yaml
from reasonrl.words import did_you_mean


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
    """The file of a recipe.

    Args:
        name: a path to a YAML file, a folder that holds recipe.yaml, or the name of a shipped recipe.

    Raises:
        RecipeError: the recipe does not exist; the message has the nearest name.
    """
    path = Path(name)
    if path.is_dir() and (path / "recipe.yaml").is_file():
        return path / "recipe.yaml"
    if path.is_file():
        return path
    shipped = shipped_recipes() / name / "recipe.yaml"
    if shipped.is_file() and "/" not in name:
        return shipped
    names = sorted(p.parent.name for p in shipped_recipes().glob("*/recipe.yaml"))
    if path.is_dir():
        raise RecipeError(f"{name} is a folder without recipe.yaml, so it is neither a run nor a recipe. Name its file")
    hint = did_you_mean(name, names)
    raise RecipeError(
        f"no recipe '{name}': {hint + ' ' if hint else ''}Shipped recipes: {', '.join(names)}. A path to a .yaml"
        " file works too"
    )


def load_recipe(name: str, overrides: Sequence[str] = ()) -> LoadedRecipe:
    """Read, override and check a recipe. Raises RecipeError that lists every mistake.

    What an earlier version saved in a run folder is read with today's keys.
    """
    path = find_recipe(name)
    return parse_recipe(_read(path), str(path), overrides, saved=is_saved(path))


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a recipe file, unchecked."""
    raw = read_mapping(_read(path), str(path))
    return upgraded(raw) if is_saved(path) else raw


def is_saved(path: Path) -> bool:
    """Whether a recipe file was written into a run folder, not by a person."""
    return (path.parent / "run.json").is_file()


def parse_recipe(text: str, source: str, overrides: Sequence[str] = (), *, saved: bool = False) -> LoadedRecipe:
    """Read a recipe from its text; `source` names it in messages. Raises RecipeError that lists every mistake.

    `saved`: it comes from a run folder, maybe of an earlier version.
    """
    raw = read_mapping(text, source)
    raw = upgraded(raw) if saved else raw
    messages: list[str] = []
    lines = line_numbers(text)
    for override in overrides:
        try:
            _check_value(override)
            place = apply_override(raw, override)
        except OverrideError as error:
            messages.append(str(error))
            continue
        lines = {key: line for key, line in lines.items() if key[: len(place)] != place}  # it is not in the file
    recipes = []
    for index, stage in _stages(raw, messages):
        recipe, stage_messages = check_stage(stage, lines, index)
        messages += [message for message in stage_messages if message not in messages]
        if recipe is not None:
            recipes.append(recipe)
            messages += [] if saved else unread_sections(recipe, raw if index is None else raw["stages"][index], index)
    if messages:
        raise _mistakes(source, messages)
    return LoadedRecipe(str(raw["name"]), source, raw, recipes)


def unread_sections(recipe: Recipe, written: Mapping[str, Any], index: int | None) -> list[str]:
    """Sections that a stage writes itself and its kind does not read. The common part of a recipe is for all stages."""
    where = "" if index is None else f"stages.{index}."
    default = {facts.settings: type(getattr(recipe, facts.settings))() for facts in KINDS.values()}
    return [
        f"{where}{section}: kind: {recipe.kind} does not read this section; leave it out, or write kind: {kind}"
        for kind, section in ((kind, facts.settings) for kind, facts in KINDS.items() if kind != "rl")
        if section in written and kind != recipe.kind and getattr(recipe, section) != default[section]
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} cannot be read as UTF-8 text: {error}") from error


def _mistakes(source: str, messages: Sequence[str]) -> RecipeError:
    count = "1 mistake" if len(messages) == 1 else f"{len(messages)} mistakes"
    return RecipeError(f"{source}: {count}\n" + "\n".join(f"  - {message}" for message in messages))


def _check_value(override: str) -> None:
    """Raises OverrideError for a value that cannot be read, or that gives a key twice."""
    _, _, text = override.partition("=")
    try:
        load_yaml(text)
    except AmbiguousYaml as error:
        raise OverrideError(override, str(error)) from error
    except yaml.YAMLError as error:
        raise OverrideError(override, "the value is not valid YAML; quote it") from error


def read_mapping(text: str, source: str) -> dict[str, Any]:
    """The mapping of a recipe's text, unchecked. Raises RecipeError where it is none, or is ambiguous."""
    try:
        raw = load_yaml(text)
    except AmbiguousYaml as error:
        raise _mistakes(source, str(error).split("\n")) from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{source} is not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise RecipeError(f"{source}: a recipe is a mapping of keys to values, e.g. 'name: my-run'")
    return raw


def _stages(raw: dict[str, Any], messages: list[str]) -> list[tuple[int | None, dict[str, Any]]]:
    """(index, keys) of each stage; the index is None for a recipe without stages. Adds to `messages`."""
    if "stages" not in raw:
        return [(None, raw)]
    base = {key: value for key, value in raw.items() if key != "stages"}
    stages = raw["stages"]
    if not isinstance(stages, list) or not stages or not all(isinstance(s, dict) for s in stages):
        messages.append("stages: expected a list of stages, each a mapping with name and kind")
        return []
    names = [stage.get("name") for stage in stages]
    for i, name in enumerate(names):
        if not isinstance(name, str) or not name.replace("-", "").replace("_", "").isalnum():
            messages.append(f"stages.{i}.name: expected a word of letters, digits, - and _, got {name!r}")
            stages = [*stages[:i], {**stages[i], "name": "unnamed"}, *stages[i + 1 :]]  # one message is enough
        elif name in names[:i]:
            messages.append(f"stages.{i}.name: '{name}' is taken by an earlier stage")
    return [(i, _merged(base, stage)) for i, stage in enumerate(stages)]


def _merged(base: Any, changes: Any) -> Any:
    """`base` merged with `over`, whose values win, at every depth."""
    if isinstance(base, Mapping) and isinstance(changes, Mapping):
        return {**base, **{key: _merged(base.get(key), value) for key, value in changes.items()}}
    return changes


def stage_text(recipe: Recipe) -> str:
    """recipe.yaml of a stage."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
