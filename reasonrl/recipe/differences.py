"""In which keys two recipes differ, by what they mean: comments, order and spelled-out defaults do not matter."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from reasonrl.errors import RecipeError
from reasonrl.recipe.reading import parse_recipe, read_mapping

_LONGEST = 60
_ABSENT = "nothing"


def recipe_differences(saved: str, text: str) -> list[str]:
    """One sentence for each key whose value is not the same in two YAML texts; none where they describe the same run.
    `saved` may come from an earlier version and lack newer keys, which then have their defaults. A description changes
    nothing.
    """
    if saved == text:
        return []
    try:
        old, new = _stages(saved), _stages(text)
    except RecipeError:  # a version that reads neither
        old, new = [_loosely(saved)], [_loosely(text)]
    if len(old) != len(new):
        return [f"stages: {len(old)}, now {len(new)}"]
    sentences = []
    for number, (before, now) in enumerate(zip(old, new, strict=True)):
        where = f"stages.{number}." if len(old) > 1 else ""
        for key in dict.fromkeys([*before, *now]):
            was, value = before.get(key, _ABSENT), now.get(key, _ABSENT)
            if was != value:
                sentences.append(f"{where}{key} was {_cut(was)} and is now {_cut(value)}")
    return sentences


def _stages(text: str) -> list[dict[str, str]]:
    """The keys of each stage and their values as JSON."""
    recipes = [stage.model_dump(mode="json") for stage in parse_recipe(text, "a run", saved=True).stages]
    return [dict(_leaves({**recipe, "description": ""}, "")) for recipe in recipes]


def _loosely(text: str) -> dict[str, str]:
    try:
        return dict(_leaves(read_mapping(text, "a run"), ""))
    except RecipeError:
        return {"the text": json.dumps(text)}


def _leaves(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
