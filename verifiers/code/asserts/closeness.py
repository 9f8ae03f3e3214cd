"""`pytest.approx`, `numpy.isclose` and `numpy.allclose` on plain values: numbers, and lists or tuples of them."""

from __future__ import annotations

import math
from typing import Any


def approx(got: Any, expected: Any, rel: float | None = None, abs: float | None = None, nan_ok: bool = False) -> bool:
    """`got == pytest.approx(expected, ...)`: within the larger of the two tolerances, 1e-6 and 1e-12 by default."""
    absolute = 1e-12 if abs is None else abs
    relative = (1e-6 if abs is None else 0.0) if rel is None else rel
    return _near(got, expected, lambda size: max(relative * size, absolute), nan_ok=nan_ok)


def all_close(got: Any, expected: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """`numpy.allclose(got, expected, ...)`, for values of the same shape."""
    return _near(got, expected, lambda size: atol + rtol * size, nan_ok=equal_nan)


def _near(got: Any, expected: Any, tolerance: Any, *, nan_ok: bool) -> bool:
    if isinstance(expected, list | tuple):
        return (
            isinstance(got, list | tuple)
            and len(got) == len(expected)
            and all(_near(a, b, tolerance, nan_ok=nan_ok) for a, b in zip(got, expected, strict=True))
        )
    if isinstance(expected, dict):
        return (
            isinstance(got, dict)
            and got.keys() == expected.keys()
            and all(_near(got[key], value, tolerance, nan_ok=nan_ok) for key, value in expected.items())
        )
    if type(got) not in (int, float, complex) or type(expected) not in (int, float, complex):
        return type(got) is type(expected) and bool(got == expected)
    if expected != expected:
        return nan_ok and got != got
    if got == expected:
        return True
    size = abs(expected)
    return math.isfinite(size) and bool(abs(got - expected) <= tolerance(size))
