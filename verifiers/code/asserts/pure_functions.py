"""The functions and methods that a test's expression may use, on plain values, with a bound on what each may cost.

The parent evaluates expressions of the tests on values that the program returned, which may be huge. So whatever can
make much out of little (`**`, `<<`, repetition, `range`, `factorial`, padding) has a limit of its own here, and what
has none is not in the tables.
"""

from __future__ import annotations

import functools
import itertools
import re
import string
from collections.abc import Callable, Iterable
from typing import Any

from verifiers.code.comparison.equality import difference
from verifiers.sandbox.values import Items, check_hashes

MAX_ITEMS = 1_000_000
MAX_BITS = 1_000_000
MAX_FACTORIAL = 5_000
_WIDE = re.compile(r"\*|\d{4}")


class NotPlain(ValueError):
    """The expression has no value that can be computed from plain values alone, or its value is too large."""


def power(base: Any, exponent: Any, modulus: Any = None) -> Any:
    whole = modulus is None and isinstance(base, int) and isinstance(exponent, int)
    if whole and exponent > 0 and base.bit_length() * exponent > MAX_BITS:
        raise NotPlain("a power is too large")
    return pow(base, exponent, modulus)


def times(left: Any, right: Any) -> Any:
    for sequence, count in ((left, right), (right, left)):
        if isinstance(count, int) and hasattr(sequence, "__len__") and len(sequence) * count > MAX_ITEMS:
            raise NotPlain("a repetition is too long")
    return left * right


def modulo(left: Any, right: Any) -> Any:
    if isinstance(left, bytes) or (isinstance(left, str) and _WIDE.search(left)):
        raise NotPlain("a width is too large")
    return left % right


def formatted(text: str, *args: Any, **kwargs: Any) -> str:
    """`str.format` for plain fields, `{}`, `{0:.2f}`, `{name}`: no attributes and items of a value, no wide fields."""
    for _, name, specification, _ in string.Formatter().parse(text):
        if name is not None and not (name == "" or name.isalnum()):
            raise NotPlain("a format that looks into a value")
        if specification and (_WIDE.search(specification) or "{" in specification):
            raise NotPlain("a width is too large")
    return text.format(*args, **kwargs)


def shifted(left: Any, right: Any) -> Any:
    if isinstance(right, int) and right > MAX_BITS:
        raise NotPlain("a shift is too large")
    return left << right


def bounded_range(*bounds: Any) -> range:
    numbers = range(*bounds)
    if len(numbers) > MAX_ITEMS:
        raise NotPlain("a range is too long")
    return numbers


def small(function: Callable[..., int]) -> Callable[..., int]:
    """The function, for whole numbers up to MAX_FACTORIAL."""

    @functools.wraps(function)
    def bounded(*numbers: int) -> int:
        if any(abs(number) > MAX_FACTORIAL for number in numbers):
            raise NotPlain(f"{function.__name__} of a number beyond {MAX_FACTORIAL}")
        return function(*numbers)

    return bounded


def listed(items: Iterable[Any]) -> list[Any]:
    """The items, of which there may be MAX_ITEMS."""
    values = list(itertools.islice(items, MAX_ITEMS + 1))
    if len(values) > MAX_ITEMS:
        raise NotPlain(f"more than {MAX_ITEMS} items")
    return values


def hashable(items: Iterable[Any]) -> list[Any]:
    """The items, once it is known that a set of them is cheap to build."""
    values = listed(items)
    check_hashes(values)
    return values


def first(items: Any, *default: Any) -> Any:
    """`next(f(x))` of what a generator gave."""
    if not isinstance(items, Items) or items.is_sized:
        raise TypeError(f"a {type(items).__name__} is not an iterator")
    return next(iter(items.items), *default)


def same(left: Any, right: Any) -> bool:
    """`==` by the rules of `comparison.equality`: True is not 1, nan is nan. A type is equal to itself alone."""
    if isinstance(left, type) or isinstance(right, type):
        return left is right
    return not difference(left, right)


def is_instance(value: Any, kinds: type | tuple[type, ...]) -> bool:
    """`isinstance` for plain values: a bool is not an int."""
    return type(value) in (kinds if isinstance(kinds, tuple) else (kinds,))


def mapping(items: Any = (), /, **named: Any) -> dict[Any, Any]:
    pairs = listed(items.items() if isinstance(items, dict) else items)
    check_hashes([key for key, _ in pairs])
    return dict(pairs, **named)


def unpacked(value: Any, count: int) -> tuple[Any, ...]:
    """The items of the right side of `a, b = value`. Raises ValueError if there are not `count`."""
    items = tuple(value)
    if len(items) != count:
        raise ValueError(f"expected {count} values to unpack, got {len(items)}")
    return items


def replaced(text: str, old: str, new: str, count: int = -1) -> str:
    if len(text) * max(len(new), 1) > 10 * MAX_ITEMS:
        raise NotPlain("a replacement is too long")
    return text.replace(old, new, count)


def padded(name: str) -> Callable[..., Any]:
    """`str.center` and its like, up to a width of MAX_ITEMS."""

    def bounded(text: Any, width: int, *fill: Any) -> Any:
        if width > MAX_ITEMS:
            raise NotPlain("a width is too large")
        return getattr(text, name)(width, *fill)

    return bounded


def not_a_number(part: Any) -> Any:
    """The part, for `bytes`, where a number would be a size."""
    if isinstance(part, int):
        raise NotPlain("bytes of a number")
    return part


def number(start: Any) -> Any:
    """The start, for `sum`, where adding lists takes quadratic time."""
    if not isinstance(start, int | float | complex):
        raise NotPlain("a sum of other than numbers")
    return start
