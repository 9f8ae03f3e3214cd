"""The functions and methods that a test's expression may use, on plain values, with a bound on what each may cost.

The parent evaluates expressions of the tests on values that the program returned, which may be huge. So whatever can
make much out of little (`**`, `<<`, repetition, `range`, `factorial`, padding) has a limit of its own here, and what
has none is not in the tables.
"""

from __future__ import annotations

import cmath
import collections
import copy
import functools
import itertools
import math
import operator
import string
import sys
from collections.abc import Callable, Iterable
from typing import Any

from verifiers.code.equality import difference
from verifiers.sandbox.values import check_hashes

MAX_ITEMS = 1_000_000
MAX_BITS = 1_000_000
MAX_FACTORIAL = 5_000


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
    if isinstance(left, str | bytes):
        raise NotPlain("`%` on a text")
    return left % right


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


def same(left: Any, right: Any) -> bool:
    """`==` as `verifiers.code.equality` has it: True is not 1, nan is nan. Types are equal to themselves alone."""
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


OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": times,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": modulo,
    "Pow": power,
    "LShift": shifted,
    "RShift": operator.rshift,
    "BitAnd": operator.and_,
    "BitOr": operator.or_,
    "BitXor": operator.xor,
    "UAdd": operator.pos,
    "USub": operator.neg,
    "Invert": operator.invert,
    "Not": operator.not_,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
}

TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict)
}  # fmt: skip

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "all": all,
    "any": any,
    "bin": bin,
    "bool": bool,
    "bytes": lambda *parts: bytes(*(listed(part) if isinstance(part, list | tuple) else _text(part) for part in parts)),
    "chr": chr,
    "complex": complex,
    "dict": mapping,
    "divmod": divmod,
    "enumerate": lambda items, start=0: enumerate(listed(items), start),
    "filter": filter,
    "float": float,
    "frozenset": lambda items=(): frozenset(hashable(items)),
    "hex": hex,
    "int": int,
    "isinstance": is_instance,
    "len": len,
    "list": lambda items=(): listed(items),
    "map": map,
    "max": max,
    "min": min,
    "oct": oct,
    "ord": ord,
    "pow": power,
    "range": bounded_range,
    "repr": repr,
    "reversed": lambda items: reversed(listed(items)),
    "round": round,
    "set": lambda items=(): set(hashable(items)),
    "sorted": lambda items, key=None, reverse=False: sorted(listed(items), key=key, reverse=reverse),
    "str": lambda value="": str(value),
    "sum": lambda items, start=0: sum(listed(items), _number(start)),
    "tuple": lambda items=(): tuple(listed(items)),
    "type": lambda value: type(value),
    "zip": zip,
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "collections.Counter": lambda items=(): dict(collections.Counter(hashable(items))),
    "collections.OrderedDict": mapping,
    "math.factorial": small(math.factorial),
    "math.comb": small(math.comb),
    "math.perm": small(math.perm),
    "math.prod": lambda items: math.prod(listed(items)),
}
_MATH_NAMES = (
    "acos acosh asin asinh atan atan2 atanh ceil copysign cos cosh degrees dist erf erfc exp expm1 fabs floor fmod "
    "frexp fsum gamma gcd hypot isclose isfinite isinf isnan isqrt lcm lgamma log log10 log1p log2 modf pow radians "
    "remainder sin sinh sqrt tan tanh trunc"
)
FUNCTIONS |= {f"math.{name}": getattr(math, name) for name in _MATH_NAMES.split()}
FUNCTIONS |= {f"cmath.{name}": getattr(cmath, name) for name in ("exp", "isclose", "phase", "polar", "rect", "sqrt")}
UNPACKED = "(unpacked)"
"""Not a name that a test could write: the walk puts it in for `a, b = f(x)`."""
FUNCTIONS[UNPACKED] = unpacked
for numpy_name, standard in (("abs", "abs"), ("isnan", "math.isnan"), ("sqrt", "math.sqrt")):
    FUNCTIONS[f"numpy.{numpy_name}"] = FUNCTIONS[standard]


def _text(part: Any) -> Any:
    if isinstance(part, int):
        raise NotPlain("bytes of a number")
    return part


def _number(start: Any) -> Any:
    if not isinstance(start, int | float | complex):
        raise NotPlain("a sum of other than numbers")
    return start


CONSTANTS: dict[str, Any] = {
    "math.pi": math.pi,
    "math.e": math.e,
    "math.tau": math.tau,
    "math.inf": math.inf,
    "math.nan": math.nan,
    "cmath.pi": math.pi,
    "numpy.pi": math.pi,
    "numpy.e": math.e,
    "numpy.inf": math.inf,
    "numpy.nan": math.nan,
    "sys.maxsize": sys.maxsize,
    "sys.float_info.epsilon": sys.float_info.epsilon,
    "sys.float_info.max": sys.float_info.max,
    "sys.float_info.min": sys.float_info.min,
}
CONSTANTS |= {
    f"string.{name}": getattr(string, name)
    for name in ("ascii_letters", "ascii_lowercase", "ascii_uppercase", "digits", "hexdigits", "punctuation")
}

_TEXT_METHODS = (
    "capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit isidentifier islower "
    "isnumeric isspace istitle isupper join lower lstrip partition removeprefix removesuffix rfind rindex rpartition "
    "rsplit rstrip split splitlines startswith strip swapcase title upper encode decode hex"
)
_SET_METHODS = "copy difference intersection isdisjoint issubset issuperset symmetric_difference union"
METHODS: dict[type, dict[str, Callable[..., Any]]] = {
    kind: {name: getattr(kind, name) for name in names.split() if hasattr(kind, name)}
    for kind, names in (
        (str, _TEXT_METHODS),
        (bytes, _TEXT_METHODS),
        (list, "count index copy"),
        (tuple, "count index"),
        (dict, "get copy"),
        (set, _SET_METHODS),
        (int, "bit_length conjugate"),
        (float, "is_integer hex conjugate"),
        (complex, "conjugate"),
    )
}
METHODS[dict] |= {
    "items": lambda value: list(value.items()),
    "keys": lambda value: list(value),
    "values": lambda value: list(value.values()),
}
METHODS[frozenset] = {name: getattr(frozenset, name) for name in METHODS[set]}
METHODS[bool] = METHODS[int]
METHODS[str] |= {"replace": replaced, **{name: padded(name) for name in ("center", "ljust", "rjust", "zfill")}}
