"""Recipes that earlier versions saved in run folders, with the keys of today.

A recipe that a person writes must use today's keys; the message names the new one. A saved one should not need editing:
it holds every key of a stage, also those that nobody wrote.
"""

from __future__ import annotations

from typing import Any

from reasonrl.recipe.critics import CriticSpec
from reasonrl.recipe.fields import Spec

SECTIONS: dict[str, type[Spec]] = {"critic": CriticSpec}
"""Sections with keys that were renamed."""


def upgraded(recipe: dict[str, Any]) -> dict[str, Any]:
    """A copy of the mapping of a recipe file, or of one stage, whose renamed keys have their present names."""
    copy = {key: _upgraded_section(key, value) for key, value in recipe.items()}
    if isinstance(copy.get("stages"), list):
        copy["stages"] = [upgraded(stage) if isinstance(stage, dict) else stage for stage in copy["stages"]]
    return copy


def _upgraded_section(name: str, section: Any) -> Any:
    if name not in SECTIONS or not isinstance(section, dict):
        return section
    return {SECTIONS[name].renamed.get(key, key): value for key, value in section.items()}
