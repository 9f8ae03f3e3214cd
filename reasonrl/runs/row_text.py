"""One row of a JSONL file of a run, as JSON that every program reads.

Part of a row may come from the user's own code: what a verifier extracted, what an environment notes. A value that JSON
lacks becomes the nearest one that it has, so that a finished step is never lost over it.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping, Set
from typing import Any

from reasonrl.user_code.guards import shown

_DEEPEST = 100


def row_text(row: Mapping[str, Any]) -> str:
    """The row on one line, without the line end. A number that is not finite is null, half a surrogate pair is escaped;
    arrays and sets are lists; bytes and other objects are text.
    """
    try:
        text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        text = _plain_text(row)
    else:
        # Where user code raised Python's recursion limit, this may be nested too deeply for readers with the usual one.
        if text.count("[") + text.count("{") > _DEEPEST and _is_deeper(row, _DEEPEST):
            text = _plain_text(row)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(json.loads(text))
    return text


def _plain_text(row: Mapping[str, Any]) -> str:
    return json.dumps(_plain(row, ()), ensure_ascii=False, allow_nan=False)


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether more than `levels` containers of JSON stand in one another."""
    if not isinstance(value, dict | list | tuple):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in inner)


def _plain(value: Any, outer: tuple[int, ...]) -> Any:
    """The value in the types of JSON. `outer` holds the ids of the containers around it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        return _plain(value.value, outer)
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    if id(value) in outer or len(outer) >= _DEEPEST:
        return "..."
    inner = (*outer, id(value))
    if isinstance(value, Mapping):
        return {_key(key): _plain(item, inner) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, inner) for item in value]
    if isinstance(value, Set):
        return sorted((_plain(item, inner) for item in value), key=repr)
    if hasattr(value, "tolist"):  # of numpy and torch
        return _listed(value, inner)
    return shown(value)


def _key(key: Any) -> str:
    return str.__str__(key) if isinstance(key, str) else shown(key)


def _integer(value: int) -> int | str:
    try:
        int.__repr__(value)
    except ValueError:  # thousands of digits, which no program reads back
        return hex(value)
    return int(value)


def _listed(value: Any, outer: tuple[int, ...]) -> Any:
    try:
        listed = value.tolist()
    except Exception:  # the method of a foreign class
        return shown(value)
    return shown(value) if hasattr(listed, "tolist") else _plain(listed, outer)
