"""Mistakes in a recipe in plain words: where, what was expected, the nearest valid name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reasonrl.recipe.schema import Recipe


def follows(place: tuple[Any, ...], text: str, gone: tuple[Any, ...]) -> bool:
    """Whether a mistake comes of a value that was taken out: it is inside of it, or says that there is none."""
    return place[: len(gone)] == gone or ("needs either" in text and gone[: len(place)] == place)


def invalid_part(stage: dict[str, Any], item: ErrorDetails) -> tuple[Any, ...]:
    """Remove the value that an error is about, and say where it was; empty when nothing can be removed."""
    location = _location(item["loc"])
    if item["type"] == "missing":
        if location == ("name",):
            stage["name"] = "unnamed"
            return location
        location = location[:-1]  # what lacks a part goes as a whole
    at: Any = stage
    for depth, part in enumerate(location):
        if not isinstance(at, dict) or part not in at:
            return ()
        if depth + 1 == len(location) or not isinstance(at[part], dict):  # a list goes as a whole
            del at[part]
            return location[: depth + 1]
        at = at[part]
    return ()


def _location(loc: Sequence[Any]) -> tuple[Any, ...]:
    """Where in the file an error is: pydantic's path without the members of a union that it puts in between."""
    return tuple(part for part in loc if not (isinstance(part, str) and part.startswith(("list[", "literal["))))


Places = dict[tuple[Any, ...], int]
"""Line of each key of a YAML text."""


def explain(error: ValidationError, lines: Places, stage: int | None) -> list[tuple[tuple[Any, ...], str]]:
    """(place, message) of every error; the members of a union that was not met make one message."""
    told: list[tuple[tuple[Any, ...], str]] = []
    for item in error.errors(include_url=False):
        location = _location(item["loc"])
        dotted = ".".join(str(part) for part in location)
        line = lines.get(("stages", stage, *location)) if stage is not None else None
        line = line or lines.get(location)
        where = f" (line {line})" if line else ""
        if item["type"] == "extra_forbidden":
            valid = _fields_at(location[:-1])
            near = difflib.get_close_matches(str(location[-1]), valid, 1, 0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"valid keys here: {', '.join(valid)}"
            told.append((location, f"{dotted}{where}: unknown key; {hint}"))
        elif item["type"] == "missing":
            told.append((location, f"{dotted}: missing"))
        elif item["type"] == "value_error":
            for text in str(item["ctx"]["error"]).split("\n"):
                # A check of the whole recipe names its places itself.
                place = location or tuple(text.partition(":")[0].split("."))
                told.append((place, f"{dotted}{where}: {text}" if dotted else text))
        else:
            expected = (
                "a mapping of keys to values"
                if item["type"] == "model_type"
                else item["msg"].removeprefix("Input should be ")
            )
            given = f", got {item['input']!r:.120}"
            if told and told[-1][0] == location and told[-1][1].endswith(given):  # another member of the same union
                told[-1] = (location, f"{told[-1][1].removesuffix(given)} or {expected}{given}")
            else:
                told.append((location, f"{dotted}{where}: expected {expected[0].lower()}{expected[1:]}{given}"))
    return told


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


def line_numbers(text: str) -> Places:
    lines: Places = {}

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
