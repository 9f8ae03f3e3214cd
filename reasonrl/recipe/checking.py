"""Checks one stage of a recipe against the schema: gives the typed recipe, or every mistake in it."""

from __future__ import annotations

import copy
from typing import Any

import yaml
from pydantic import ValidationError

from reasonrl.recipe.messages import explain, wrong_values
from reasonrl.recipe.mistakes import Mistake, Place
from reasonrl.recipe.schema import Recipe

Lines = dict[Place, int]
"""The line of each key of a YAML text, from 1."""


def check_stage(stage: dict[str, Any], lines: Lines, index: int | None = None) -> tuple[Recipe | None, list[str]]:
    """The recipe, or None and a message for every mistake.

    Rules across fields do not run while a field is wrong. So wrong values are replaced by their defaults, and
    the stage is checked again. A mistake that follows from a value that was taken out is not reported.

    Args:
        stage: all keys of the stage.
        lines: the line of each of its keys in the file.
        index: the stage's place under `stages:`; None for a recipe without stages.
    """
    stage = copy.deepcopy(stage)
    messages: list[str] = []
    removed: list[Place] = []
    while True:
        try:
            recipe = Recipe.model_validate(stage)
            return (None if messages else recipe), messages
        except ValidationError as error:
            mistakes = explain(error, stage, Recipe)
            places = wrong_values(error, stage)
        for mistake in mistakes:
            message = mistake.describe(_line(mistake, lines, index))
            if message not in messages and not any(mistake.follows_from(place) for place in removed):
                messages.append(message)
        defaulted = [_use_default(stage, place) for place in places]
        if set(defaulted) <= set(removed):
            return None, messages
        removed += defaulted


def line_numbers(text: str) -> Lines:
    """The line of each key and of each item of a list in a YAML text."""
    lines: Lines = {}

    def walk(node: Any, path: Place) -> None:
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


def _use_default(stage: dict[str, Any], place: Place) -> Place:
    """Remove a value from the stage, so that its default applies. Returns its place: a list is removed completely."""
    if place == ("name",):  # it has no default
        stage["name"] = "unnamed"
        return place
    section: Any = stage
    for depth, key in enumerate(place, 1):
        if depth == len(place) or not isinstance(section.get(key), dict):
            section.pop(key, None)  # gone already where a list has two mistakes
            return place[:depth]
        section = section[key]
    return place


def _line(mistake: Mistake, lines: Lines, index: int | None) -> int | None:
    in_stage = None if index is None else lines.get(("stages", index, *mistake.place))
    return in_stage or lines.get(mistake.place)
