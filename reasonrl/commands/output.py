"""Prints the results of commands: text for a person, one JSON object for a program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from reasonrl.errors import UsageError
from reasonrl.host.terminal import print_json
from reasonrl.recipe.yaml_text import AmbiguousYaml, load_yaml


def emit(as_json: bool, value: Mapping[str, Any], text: str) -> None:
    """Print `value` as one JSON object, or `text`."""
    if as_json:
        print_json(value)
    else:
        print(text, flush=True)


def key_values(pairs: list[str], flag: str) -> dict[str, Any]:
    """`["a=1", "b=x"]` as a dict; values are read as YAML. Raises UsageError for a pair without '=', and for a
    value that is not YAML.
    """
    out = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{flag} {pair}: write key=value")
        try:
            out[key] = load_yaml(value)
        except AmbiguousYaml as error:
            raise UsageError(f"{flag} {pair}: {error}") from error
        except yaml.YAMLError as error:
            raise UsageError(
                f"{flag} {pair}: the value is not valid YAML; put strings in quotes: '{key}=\"...\"'"
            ) from error
    return out
