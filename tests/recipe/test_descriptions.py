"""Every key has a description that users can read: the reference of keys is made of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from reasonrl.recipe.schema import Recipe


def sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from sections(field.annotation)
    for argument in get_args(annotation):
        yield from sections(argument)


KEYS = [
    (section, name)
    for section in sorted(set(sections(Recipe)), key=lambda s: s.__name__)
    for name in section.model_fields
]


@pytest.mark.parametrize(("section", "name"), KEYS, ids=[f"{section.__name__}.{name}" for section, name in KEYS])
def test_every_key_has_a_description(section: type[BaseModel], name: str) -> None:
    description = section.model_fields[name].description
    assert description and description.endswith("."), "a sentence"
    first = description.lstrip("`")
    assert first[0].isupper() or description.startswith("`") or first.startswith(("critique_rl", "refcritic"))


def test_every_section_has_a_description() -> None:
    assert len(KEYS) > 150
    assert all(section.__doc__ for section, _ in KEYS)
