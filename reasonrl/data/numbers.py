"""Numbers of narrow types as they were written: a 32-bit 0.1 is 0.1, and not 0.10000000149011612.

A float32 or float16 is widened exactly when it becomes a Python float, which shows digits that nobody wrote. The number
that was meant is the shortest decimal that becomes the same value in its own type, as numpy prints it.
"""

from __future__ import annotations

import math
import struct
from typing import Any

CODES = {2: "e", 4: "f"}
"""Codes of `struct` for floats of 2 and 4 bytes."""
SURE_DIGITS = {2: 2, 4: 6}
"""A whole number of this many digits was surely written, where a float of 2 or 4 bytes holds only one near it."""


def shortest(value: float, width: int) -> float:
    """The float with the shortest decimal text that is `value` in a type of `width` bytes (2 or 4)."""
    value = float(value)
    if not math.isfinite(value):
        return value
    code = CODES[width]
    # 1e11 is stored as 99999997952 and was 1e11; 65504 may well have been 65504.
    for digits in range(1, 1 + SURE_DIGITS[width] if value.is_integer() else 10):
        candidate = float(f"{value:.{digits}g}")
        if _narrowed(candidate, code) == value:
            return candidate
    return value


def listed(array: Any) -> Any:
    """A numpy or torch array or scalar as nested lists of Python values, narrow floats by their shortest text."""
    dtype = getattr(array, "dtype", None)
    if getattr(dtype, "kind", "") in ("M", "m"):  # tolist() gives nanoseconds as bare integers
        return array.astype(str).tolist()
    values = array.tolist()
    width = getattr(dtype, "itemsize", 8)
    is_float = getattr(dtype, "kind", "") == "f" or bool(getattr(dtype, "is_floating_point", False))
    if not is_float or width == 8:
        return values
    return _each(values, width if "bfloat16" not in str(dtype) else 8)


def _each(values: Any, width: int) -> Any:
    if isinstance(values, list):
        return [_each(value, width) for value in values]
    if width not in CODES:  # wider than a Python float, such as numpy's longdouble
        return float(values)
    return shortest(values, width) if isinstance(values, float) else values


def _narrowed(value: float, code: str) -> float:
    try:
        number: float = struct.unpack(code, struct.pack(code, value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return number
