"""Equality of plain values, as strict about types as a careful reader of the test.

Runs in the caller's process, on values that `verifiers.sandbox.values.decode` built: built-in types and `Opaque`.

    bool                 equal to a bool alone: True is not 1
    int, float, complex  by value and exactly, of any size: 2 equals 2.0, 2**53 + 1 does not equal 2.0**53
    nan, zero            nan equals nan; -0.0 equals 0.0
    tolerance            only where the expected number is a float or complex; an infinity is never near anything else
    str, bytes           never equal to one another
    list, tuple          never equal to one another; as `json` a tuple is a list, since JSON has no tuples
    set, frozenset       by members; members may be tuples of numbers within the tolerance
    dict                 in any order, keys exactly; as `json` the key 1 is the key "1", since JSON has no other keys
    Opaque               equal to nothing, itself included
"""

from __future__ import annotations

import json
import math
import reprlib
from dataclasses import dataclass
from typing import Any, Literal

from verifiers.sandbox.values import MAX_DEPTH, MAX_ITEMS, TooLarge

Types = Literal["python", "json"]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """|got - expected| <= absolute + relative * |expected|, as numpy's `allclose` has it."""

    relative: float = 0.0
    absolute: float = 0.0


EXACT = Tolerance()

_KINDS = {
    type(None): "none", bool: "bool", int: "number", float: "number", complex: "number", str: "text", bytes: "bytes",
    list: "list", tuple: "tuple", set: "set", frozenset: "set", dict: "dict",
}  # fmt: skip
_ATOMS = frozenset({bool, int, str, bytes, type(None)})
"""Two values of one of these types are equal where Python says so, and hashed by their value."""


def difference(expected: Any, got: Any, tolerance: Tolerance = EXACT, types: Types = "python") -> str:
    """Empty if the values are equal; otherwise one line with the first place where they differ."""
    stack: list[tuple[Any, Any, str, int]] = [(expected, got, "", 0)]
    budget = MAX_ITEMS
    while stack:
        left, right, place, depth = stack.pop()
        budget -= 1
        if depth > MAX_DEPTH or budget < 0:
            return "the values are too large to be compared"
        kind = _kind(left, types)
        if kind == "opaque" or kind != _kind(right, types):
            return _unequal(left, right, place)
        if kind == "number":
            if not same_number(left, right, tolerance):
                return _unequal(left, right, place)
        elif kind in ("list", "tuple"):
            if len(left) != len(right):
                return _unequal(left, right, place, f" ({len(left)} items, not {len(right)})")
            for i in reversed(range(len(left))):
                if type(left[i]) not in _ATOMS or type(left[i]) is not type(right[i]) or left[i] != right[i]:
                    stack.append((left[i], right[i], f"{place}[{i}]", depth + 1))
        elif kind == "dict":
            left, right = _by_key(left, types), _by_key(right, types)
            if left.keys() != right.keys():
                return _unequal_keys(left, right, place)
            stack.extend(
                (item, right[key][1], f"{place}[{shown(name)}]", depth + 1) for key, (name, item) in left.items()
            )
        elif kind == "set":
            if not _same_members(left, right, tolerance):
                return _unequal(left, right, place)
        elif left != right:
            return _unequal(left, right, place)
    return ""


def same_number(expected: complex, got: complex, tolerance: Tolerance = EXACT) -> bool:
    """Whether two numbers are equal, or near enough where the expected one is a float."""
    if expected == got:
        return True
    if isinstance(expected, complex) or isinstance(got, complex):
        near_real = same_number(expected.real, got.real, tolerance)
        return near_real and same_number(float(expected.imag), float(got.imag), tolerance)
    if isinstance(expected, int) or math.isinf(expected):
        return False
    if math.isnan(expected):
        return isinstance(got, float) and math.isnan(got)
    if tolerance == EXACT:
        return False
    try:
        return abs(got - expected) <= tolerance.absolute + tolerance.relative * abs(expected)
    except OverflowError:  # an int beyond the largest float
        return False


def member_key(value: Any, types: Types = "python", depth: int = 0) -> str:
    """A text that is the same for two values if and only if they are equal without a tolerance.

    Texts are hashed with a secret of the process: values whose own hashes collide by design cost nothing. Raises
    TooLarge, ValueError for an `Opaque`.
    """
    if depth > MAX_DEPTH:
        raise TooLarge("nested too deeply to be compared")
    kind = _kind(value, types)
    if kind == "number":
        return _number_key(value)
    if kind == "text":
        return json.dumps(value)
    if kind in ("list", "tuple"):
        inner = ",".join([member_key(item, types, depth + 1) for item in value])
        return f"[{inner}]" if kind == "list" else f"({inner})"
    if kind == "set":
        return "{" + ",".join(sorted(member_key(item, types, depth + 1) for item in value)) + "}"
    if kind == "dict":
        pairs = (f"{key}:{member_key(item, types, depth + 1)}" for key, (_, item) in _by_key(value, types).items())
        return "<" + ",".join(sorted(pairs)) + ">"
    if kind == "opaque":
        raise ValueError("equal to nothing")
    return repr(value)  # None, True, b"..."


def shown(value: Any) -> str:
    """A value in one line of about 80 characters, whatever its size."""
    return _SHORT.repr(value)


class _Short(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        if -(10**30) < x < 10**30:
            return repr(x)
        return f"an int of {x.bit_length()} bits"  # decimals of very long ints are refused by Python

    def repr_bytes(self, x: bytes, level: int) -> str:
        return repr(x) if len(x) <= 60 else f"{x[:50]!r}..."


_SHORT = _Short()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 4, 80, 80
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = _SHORT.maxfrozenset = 10


def _kind(value: Any, types: Types) -> str:
    kind = _KINDS.get(type(value), "opaque")
    return "list" if kind == "tuple" and types == "json" else kind


def _number_key(value: complex) -> str:
    if isinstance(value, complex):
        if value.imag != 0:
            return f"{_number_key(value.real)}+{_number_key(value.imag)}j"
        value = value.real
    if isinstance(value, float):
        if not value.is_integer():
            return float.hex(value)
        value = int(value)
    return f"{value:x}."


def _by_key(value: dict[Any, Any], types: Types) -> dict[str, tuple[Any, Any]]:
    """Each key's text, with the key itself and its item."""
    keyed: dict[str, tuple[Any, Any]] = {}
    for key, item in value.items():
        as_json = types == "json" and type(key) is int and abs(key) < 10**18
        try:
            text = member_key(str(key) if as_json else key, types)
        except ValueError:  # an Opaque: equal to nothing
            text = f"opaque {id(key)}"
        keyed[text if text not in keyed else f"again {id(key)}"] = (key, item)
    return keyed


def _same_members(expected: Any, got: Any, tolerance: Tolerance) -> bool:
    if len(expected) != len(got):
        return False
    if all({*map(type, members)} <= _ATOMS - {bool} for members in (expected, got)):
        return bool(expected == got)
    try:
        left = {member_key(item): item for item in expected}
        right = {member_key(item): item for item in got}
    except ValueError:  # an Opaque, or nested too deeply
        return False
    if left.keys() == right.keys():
        return True
    if tolerance == EXACT:
        return False
    try:
        missing = sorted(item for key, item in left.items() if key not in right)
        extra = sorted(item for key, item in right.items() if key not in left)
    except TypeError:  # members of several kinds are matched exactly
        return False
    return len(missing) == len(extra) and all(
        not difference(a, b, tolerance) for a, b in zip(missing, extra, strict=True)
    )


def _unequal(expected: Any, got: Any, place: str, note: str = "") -> str:
    left, right = shown(expected), shown(got)
    if left == right or type(expected) is not type(got):
        left, right = f"{left} ({type(expected).__name__})", f"{right} ({_type_name(got)})"
    where = f"at {place[-80:]}: " if place else ""
    return f"{where}expected {left}, got {right}{note}"


def _type_name(value: Any) -> str:
    return getattr(value, "type_name", type(value).__name__)


def _unequal_keys(expected: dict[str, tuple[Any, Any]], got: dict[str, tuple[Any, Any]], place: str) -> str:
    where = f"at {place[-80:]}: " if place else ""
    for key, (name, _) in expected.items():
        if key not in got:
            return f"{where}the key {shown(name)} is missing"
    extra = next(name for key, (name, _) in got.items() if key not in expected)
    return f"{where}the key {shown(extra)} is not expected"
