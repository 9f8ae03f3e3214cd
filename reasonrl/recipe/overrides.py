"""Applies `key=value` from the command line to a recipe as written in its file."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import yaml

from reasonrl.recipe.mistakes import Place

_NOTHING = object()


class OverrideError(ValueError):
    """An override cannot be applied. The message says why, and names the override."""

    def __init__(self, override: str, reason: str) -> None:
        super().__init__(f"override '{override}': {reason}")


def apply_override(raw: dict[str, Any], override: str) -> Place:
    """Set the key of `key=value` in a recipe and return its place. Raises OverrideError."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise OverrideError(override, "expected key=value, e.g. train.steps=20")
    value = _value(override, text)
    *parents, last = key.split(".")
    if alternatives := _set_by_stages(raw, [*parents, last], text):
        raise OverrideError(
            override, f"would have no effect, since a stage sets this key itself; write {' or '.join(alternatives)}"
        )
    node: Any = raw
    path: list[str | int] = []
    for step in parents:
        if isinstance(node, dict):
            if not isinstance(node.get(step), dict | list):
                node[step] = {"name": node[step]} if isinstance(node.get(step), str) else {}
            path.append(step)
            node = node[step]
        elif isinstance(node, list) and step.isdigit() and int(step) < len(node):
            path.append(int(step))
            node = node[int(step)]
        else:
            raise OverrideError(override, f"'{step}' does not exist in the recipe")
    if not isinstance(node, list):
        node[last] = value
        return (*path, last)
    if not last.isdigit() or int(last) >= len(node):
        raise OverrideError(override, f"'{last}' is not an index of the list; write 0 to {len(node) - 1}")
    node[int(last)] = value
    return (*path, int(last))


def _value(override: str, text: str) -> Any:
    try:
        value = yaml.safe_load(text) if text else None
    except yaml.YAMLError as error:
        raise OverrideError(override, "the value is not valid YAML; quote it") from error
    if isinstance(value, str) and value == text:  # not quoted
        with contextlib.suppress(ValueError):
            return float(value)  # YAML 1.1 reads 1e-5 as a string
    return value


def _set_by_stages(raw: dict[str, Any], path: Sequence[str], text: str) -> list[str]:
    """Overrides for the stages that set this key themselves: an override of the common part would not reach them."""
    stages = raw.get("stages")
    overrides = []
    for i, stage in enumerate(stages if isinstance(stages, list) else []):
        node: Any = stage
        for step in path:
            node = node.get(step, _NOTHING) if isinstance(node, dict) else _NOTHING
        if node is not _NOTHING:
            overrides.append(f"stages.{i}.{'.'.join(path)}={text}")
    return overrides
