"""What an expression of a test may use, by name: operators, types, functions, constants, methods."""

from __future__ import annotations

import cmath
import collections
import copy
import math
import operator
import string
import sys
from collections.abc import Callable
from typing import Any

from verifiers.code.asserts.closeness import all_close, approx
from verifiers.code.asserts.pure_functions import (
    bounded_range,
    first,
    formatted,
    hashable,
    is_instance,
    listed,
    mapping,
    modulo,
    not_a_number,
    number,
    padded,
    power,
    replaced,
    shifted,
    small,
    times,
    unpacked,
)

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
    "bytes": lambda *parts: bytes(
        *(listed(part) if isinstance(part, list | tuple) else not_a_number(part) for part in parts)
    ),
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
    "next": first,
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
    "sum": lambda items, start=0: sum(listed(items), number(start)),
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
APPROX = "(approx)"
"""For `f(x) == pytest.approx(y)`, of the same kind."""
FUNCTIONS |= {APPROX: approx, "numpy.allclose": all_close, "numpy.isclose": all_close}
for numpy_name, standard in (("abs", "abs"), ("isnan", "math.isnan"), ("sqrt", "math.sqrt")):
    FUNCTIONS[f"numpy.{numpy_name}"] = FUNCTIONS[standard]


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
METHODS[str] |= {
    "replace": replaced,
    "format": formatted,
    **{name: padded(name) for name in ("center", "ljust", "rjust", "zfill")},
}
