"""Reading recipe files: where they are, overrides, stages, and error messages that a person can act on."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from reasonrl.errors import RecipeError
from reasonrl.recipe import Recipe

STAGE_KEYS = {"name", "kind"}


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
    packaged = Path(__file__).parent / "_recipes"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "recipes"


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
    raise RecipeError(f"no recipe '{name}': {hint}Shipped recipes are {', '.join(names)}; a path to a .yaml file works too")


def load_recipe(name: str, overrides: Sequence[str] = ()) -> LoadedRecipe:
    """Read, override and check a recipe. Raises RecipeError that lists every mistake."""
    path = find_recipe(name)
    return parse_recipe(path.read_text(encoding="utf-8"), str(path), overrides)


def parse_recipe(text: str, source: str, overrides: Sequence[str] = ()) -> LoadedRecipe:
    try:
        raw = yaml.safe_load(text)
        lines = _line_numbers(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{source} is not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise RecipeError(f"{source}: a recipe is a mapping of keys to values, e.g. 'name: my-run'")
    problems: list[str] = []
    for override in overrides:
        _apply_override(raw, override, problems)
    stages = _stages(raw, problems)
    recipes = []
    for index, stage in stages:
        try:
            recipes.append(Recipe.model_validate(stage))
        except ValidationError as error:
            problems += [p for p in _explain(error, lines, index) if p not in problems]
    if problems:
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        raise RecipeError(f"{source}: {count}\n" + "\n".join(f"  - {p}" for p in problems))
    return LoadedRecipe(str(raw["name"]), source, raw, recipes)


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


def _merged(base: Any, over: Any) -> Any:
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return {**base, **{key: _merged(base.get(key), value) for key, value in over.items()}}
    return over


def _apply_override(raw: dict[str, Any], override: str, problems: list[str]) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        problems.append(f"override '{override}': expected key=value, e.g. train.steps=20")
        return
    try:
        value = yaml.safe_load(text) if text else None
    except yaml.YAMLError:
        problems.append(f"override '{override}': the value is not valid YAML; quote it")
        return
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)  # YAML 1.1 reads 1e-5 as a string
    at: Any = raw
    *path, last = key.split(".")
    for step in path:
        if isinstance(at, list) and step.isdigit() and int(step) < len(at):
            at = at[int(step)]
        elif isinstance(at, dict):
            if not isinstance(at.get(step), dict | list):
                at[step] = {"name": at[step]} if isinstance(at.get(step), str) else {}
            at = at[step]
        else:
            problems.append(f"override '{override}': there is nothing at '{step}'")
            return
    if isinstance(at, list):
        if not last.isdigit() or int(last) >= len(at):
            problems.append(f"override '{override}': '{last}' is no index of a list of {len(at)}")
            return
        at[int(last)] = value
    else:
        at[last] = value


def _explain(error: ValidationError, lines: dict[tuple[Any, ...], int], stage: int | None) -> list[str]:
    out = []
    for item in error.errors(include_url=False):
        location = tuple(part for part in item["loc"] if not (isinstance(part, str) and ("[" in part or part == "function-before")))
        dotted = ".".join(str(part) for part in location)
        line = lines.get(("stages", stage, *location)) if stage is not None else None
        line = line or lines.get(location)
        where = f" (line {line})" if line else ""
        if item["type"] == "extra_forbidden":
            valid = _fields_at(location[:-1])
            near = difflib.get_close_matches(str(location[-1]), valid, 1, 0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"valid keys here: {', '.join(valid)}"
            out.append(f"{dotted}{where}: unknown key; {hint}")
        elif item["type"] == "missing":
            out.append(f"{dotted}: missing")
        elif item["type"] == "value_error":
            text = str(item["ctx"]["error"])
            out += [f"{dotted}{where}: {t}" if dotted else t for t in text.split("\n")]
        else:
            message = item["msg"][0].lower() + item["msg"][1:]
            out.append(f"{dotted}{where}: {message}, got {item['input']!r}")
    return out


def _fields_at(location: tuple[Any, ...]) -> list[str]:
    model: Any = Recipe
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation)
        if model is None:
            return []
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)


def _line_numbers(text: str) -> dict[tuple[Any, ...], int]:
    lines: dict[tuple[Any, ...], int] = {}

    def walk(node: Any, path: tuple[Any, ...]) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                lines[(*path, key.value)] = key.start_mark.line + 1
                walk(value, (*path, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for i, value in enumerate(node.value):
                lines[(*path, i)] = value.start_mark.line + 1
                walk(value, (*path, i))

    walk(yaml.compose(text), ())
    return lines


def import_dotted(spec: str, field: str) -> Any:
    """`package.module:name` from the current folder or the environment. Raises RecipeError naming the recipe field."""
    module_name, colon, attribute = spec.partition(":")
    if not colon:
        raise RecipeError(f"{field}: '{spec}' is not of the form package.module:name")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    if importlib.util.find_spec(module_name.partition(".")[0]) is None:
        raise RecipeError(f"{field}: there is no module '{module_name}' in the current folder or the environment")
    module = importlib.import_module(module_name)
    if not hasattr(module, attribute):
        near = difflib.get_close_matches(attribute, dir(module), 1)
        raise RecipeError(f"{field}: {module_name} has no '{attribute}'" + (f"; did you mean '{near[0]}'?" if near else ""))
    return getattr(module, attribute)
