"""pydantic's errors as mistakes in plain words: where, what was expected, the nearest valid name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reasonrl.recipe.fields import Spec
from reasonrl.recipe.mistakes import Mistake, MistakesError, Place
from reasonrl.words import did_you_mean


def explain(error: ValidationError, stage: dict[str, Any], schema: type[BaseModel]) -> list[Mistake]:
    """The mistakes in a stage, in the order in which pydantic gives them.

    Args:
        error: what validating `stage` against `schema` raised.
    """
    mistakes: list[Mistake] = []
    expected: dict[Place, list[str]] = {}
    """What each member of a union would take, by the place of the union."""
    for details in error.errors(include_url=False):
        place = error_place(details, stage)
        if details["type"] == "extra_forbidden":
            mistakes.append(Mistake(place, _unknown_key(place, schema)))
        elif details["type"] == "missing":
            mistakes.append(Mistake(place, "missing"))
        elif details["type"] == "value_error":
            mistakes += [mistake.inside(place) for mistake in _mistakes_in(details["ctx"]["error"])]
        else:
            expected.setdefault(place, []).append(_expectation(details))
            text = f"expected {' or '.join(expected[place])}, got {details['input']!r:.120}"
            mistakes = [mistake for mistake in mistakes if mistake.place != place] + [Mistake(place, text)]
    return mistakes


def error_place(details: ErrorDetails, stage: dict[str, Any]) -> Place:
    """Where in the stage an error is.

    pydantic's path also holds what is not in the file: the members of a union, and the keys of a section that is
    written as one word. These are left out.
    """
    path: list[str | int] = []
    node: Any = stage
    for depth, key in enumerate(details["loc"], 1):
        if _has(node, key):
            node = node[key]
            path.append(key)
        elif details["type"] == "missing" and depth == len(details["loc"]):
            path.append(key)
    return tuple(path)


def wrong_values(error: ValidationError, stage: dict[str, Any]) -> list[Place]:
    """The places of the values that the errors are about. Where a section lacks a key, the place is the section;
    mistakes of the whole stage have no place.
    """
    places = []
    for details in error.errors(include_url=False, include_context=False):
        place = error_place(details, stage)
        lacks_a_key = details["type"] == "missing" and place != ("name",)
        places.append(place[:-1] if lacks_a_key else place)
    return [place for place in places if place]


def _has(node: Any, key: str | int) -> bool:
    if isinstance(node, dict):
        return key in node
    return isinstance(node, list) and isinstance(key, int) and key < len(node)


def _mistakes_in(error: ValueError) -> tuple[Mistake, ...]:
    return error.mistakes if isinstance(error, MistakesError) else (Mistake((), str(error)),)


def _expectation(details: ErrorDetails) -> str:
    if details["type"] == "model_type":
        return "a mapping of keys to values"
    words = details["msg"].removeprefix("Input should be ")
    return words[0].lower() + words[1:]


def _unknown_key(place: Place, schema: type[BaseModel]) -> str:
    *parents, key = place
    section = _section(tuple(parents), schema)
    if section is None:
        return "unknown key"
    if issubclass(section, Spec) and key in section.renamed:
        new_key = section.renamed[str(key)]
        return f"is called {new_key} now; write {'.'.join(map(str, (*parents, new_key)))}"
    valid = list(section.model_fields)
    return f"unknown key; {did_you_mean(str(key), valid, cutoff=0.5) or 'valid keys here: ' + ', '.join(valid)}"


def _section(place: Place, schema: type[BaseModel]) -> type[BaseModel] | None:
    """The schema of the section at a place. A key that is not a field is a name of the user's or an index of a list."""
    section: type[BaseModel] | None = schema
    for key in place:
        if section is not None and key in section.model_fields:
            section = next(_models(section.model_fields[str(key)].annotation), None)
    return section


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections in a type, in order."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
