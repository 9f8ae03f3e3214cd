"""Reads YAML as a recipe needs it: nothing in the text is dropped without a word."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

_MERGE = "tag:yaml.org,2002:merge"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_OCTAL = re.compile(r"([-+]?)0[0-7_]+")
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")


class AmbiguousYaml(yaml.YAMLError):
    """Valid YAML that says two things at once. The message has a line for each mistake."""


def load_yaml(text: str) -> Any:
    """The value of a YAML text, as `yaml.safe_load` gives it.

    Raises:
        AmbiguousYaml: a mapping has a key twice, of which `safe_load` keeps the last only, or a number is written in a
            way that YAML reads in base 8 or 60.
        yaml.YAMLError: the text is not YAML, or has a value that YAML cannot hold (the 31st of June).
    """
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        mistakes = list(_mistakes(loader, root, "", set(), set()))
        if mistakes:
            raise AmbiguousYaml("\n".join(mistakes))
        return None if root is None else _constructed(loader.construct_document, root)
    except (ValueError, OverflowError) as error:
        raise yaml.YAMLError(f"a value cannot be read: {error}") from error
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error
    finally:
        loader.dispose()


def _constructed(construct: Callable[[Any], Any], node: Any) -> Any:
    """What PyYAML makes of a node. For a text that does not fit its tag (`!!timestamp x`, `!!bool x`, `!!int ""`) it
    raises errors of its own code.
    """
    try:
        return construct(node)
    except (AttributeError, LookupError, TypeError) as error:
        line = node.start_mark.line + 1
        raise yaml.YAMLError(f"a value from line {line} on does not fit its tag, such as !!int: {error}") from error


def _mistakes(loader: yaml.SafeLoader, node: Any, place: str, parents: set[int], seen: set[int]) -> Iterator[str]:
    """A message for each key that is given again in the same mapping, and for each number that is not decimal. Nodes
    that aliases repeat are read once.
    """
    if id(node) in parents:
        raise yaml.YAMLError(f"{place.rstrip('.')}: an alias stands inside of the value that it repeats")
    if id(node) in seen or node is None:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        yield from _in_another_base(loader, node, place)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[Any, int] = {}
        for key, value in node.value:
            name, line = f"{place}{key.value}", key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode):
                is_merge = key.tag == _MERGE
                constructed = _MERGE if is_merge else _constructed(loader.construct_object, key)
                if constructed in lines:
                    advice = "Write one with a list, <<: [*a, *b]" if is_merge else "Delete one, or merge the two"
                    yield (
                        f"{name}: given twice, on lines {lines[constructed]} and {line}; only one would count. {advice}"
                    )
                lines[constructed] = line
            yield from _mistakes(loader, value, f"{name}.", parents | {id(node)}, seen)
    else:
        for i, value in enumerate(node.value):
            yield from _mistakes(loader, value, f"{place}{i}.", parents | {id(node)}, seen)


def _in_another_base(loader: yaml.SafeLoader, node: yaml.ScalarNode, place: str) -> Iterator[str]:
    """A message for a number that YAML 1.1 reads in base 8 (017) or 60 (1:30)."""
    text = node.value
    if node.tag not in _NUMBERS:
        return
    octal = _OCTAL.fullmatch(text)
    if not octal and not _BASE_60.fullmatch(text):
        return
    value = _constructed(loader.construct_object, node)
    decimal = octal[1] + (text.lstrip("+-0_") or "0") if octal else str(value)
    if octal and value == int(decimal):
        return
    where = f"{place.rstrip('.')}: " if place else ""
    base = "as an octal number" if octal else "in base 60"
    yield (
        f"{where}{text} on line {node.start_mark.line + 1} is read as {value}, {base}. Write {decimal} for the number,"
        f" or '{text}' in quotes for the text"
    )
