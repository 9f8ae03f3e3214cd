"""What a test may apply to the value of a call before it compares: `set(f(x))`, `f(x)[0]`, `f(x).lower()`.

They run in the caller's process on plain values, so each is built-in, total in time and memory, and calls nothing of
the value. One line makes a new one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

from verifiers.code.equality import shown
from verifiers.sandbox.values import check_hashes


def _hashable(value: Any) -> Any:
    """The value, once it is known that a set of its items is cheap to build."""
    if not isinstance(value, str | bytes):
        check_hashes(value)
    return value


def _dict(value: Any) -> dict[Any, Any]:
    pairs = list(value.items() if isinstance(value, dict) else value)
    check_hashes([key for key, _ in pairs])
    return dict(pairs)


def _item(value: Any, *index: Any) -> Any:
    if isinstance(value, set | frozenset):
        raise TypeError(f"{shown(value)} has no items by index")
    return value[index[0]] if len(index) == 1 else value[slice(*index)]


WRAPPERS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "all": all,
    "any": any,
    "bool": bool,
    "Counter": lambda value: dict(Counter(_hashable(value))),
    "dict": _dict,
    "float": float,
    "frozenset": lambda value: frozenset(_hashable(value)),
    "index": _item,
    "int": int,
    "isnan": math.isnan,
    "items": lambda value: list(dict.items(value)),
    "keys": lambda value: list(dict.keys(value)),
    "len": len,
    "list": list,
    "lower": lambda value: str.lower(value),
    "max": max,
    "min": min,
    "repr": repr,
    "reversed": lambda value: list(reversed(value)),
    "round": round,
    "set": lambda value: set(_hashable(value)),
    "sorted": sorted,
    "split": lambda value, *args: str.split(value, *args),
    "str": str,
    "strip": lambda value, *args: str.strip(value, *args),
    "sum": sum,
    "tuple": tuple,
    "upper": lambda value: str.upper(value),
    "values": lambda value: list(dict.values(value)),
}
"""By the name that the test uses; `index` is value[i], or value[start:stop:step] with three arguments."""
