"""The value of an expression at a point, in double precision or with 60 digits, by mpmath."""

from __future__ import annotations

import cmath
import functools
import hashlib
import operator
import threading
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from verifiers.math.exact import TooLarge, Undefined, Unfit
from verifiers.math.tree import Node

DIGITS = 60
RANGES = ((0.05, 0.95), (0.3, 2.2), (-2.2, -0.3), (0.05, 0.95), (1.5, 5.0), (-0.95, -0.05))
"""Where the symbols of each random point lie: inside the domain of an arcsine, beside 1, on both sides of 0."""


def coordinate(name: str, trial: int) -> float:
    """The value of a symbol, the same for both sides. A double, so that it is exact in every arithmetic."""
    digest = hashlib.blake2b(f"{name}/{trial}".encode(), digest_size=6).digest()
    low, high = RANGES[trial]
    return low + (high - low) * int.from_bytes(digest, "big") / 2**48


_LOCAL = threading.local()


def precise() -> Any:
    """60 digits. A context belongs to a thread: mpmath changes it while it computes."""
    if not hasattr(_LOCAL, "context"):
        from mpmath.ctx_mp import MPContext

        _LOCAL.context = MPContext()
        _LOCAL.context.dps = DIGITS
    return _LOCAL.context


def double() -> Any:
    if not hasattr(_LOCAL, "double"):
        from mpmath.ctx_fp import FPContext

        _LOCAL.double = FPContext()
    return _LOCAL.double


def evaluate(node: Node, context: Any, point: Mapping[str, float]) -> Any:
    """The value at a point, in mpmath's double or multiprecision arithmetic. Raises Undefined, Unfit or TooLarge."""
    try:
        value = _value(node, context, point)
    except (OverflowError, MemoryError) as error:
        raise TooLarge from error
    except ZeroDivisionError as error:
        raise Undefined(str(error)) from error
    except Unfit:
        raise
    except ValueError as error:  # mpmath's word for a point outside the domain
        raise Undefined(str(error)) from error
    if isinstance(value, float | complex) and not cmath.isfinite(value):
        raise TooLarge if cmath.isinf(value) else Undefined
    return value


def _value(node: Node, c: Any, point: Mapping[str, float]) -> Any:
    op = node.op
    if op == "number":
        assert isinstance(node.value, Fraction)
        return c.mpf(node.value.numerator) / c.mpf(node.value.denominator)
    if op == "symbol":
        return c.mpf(point[str(node.value)])
    if op == "infinity":
        raise Undefined("infinity")
    if op in _CONSTANTS:
        return _CONSTANTS[op](c)
    values = [_value(argument, c, point) for argument in node.args]
    if op == "apply":
        return _unknown_function(str(node.value), values, c)
    if op not in _NUMERIC:
        raise Unfit(op)
    result = _NUMERIC[op](c, *values)
    if isinstance(result, float | complex) and not cmath.isfinite(result):
        raise OverflowError
    return result


def _unknown_function(name: str, values: list[Any], c: Any) -> Any:
    """Some smooth function that belongs to the name."""
    total = c.mpf(coordinate(name, 0))
    for place, value in enumerate(values):
        total += c.mpf(coordinate(f"{name}#{place}", 1)) * value + c.sin(
            value * c.mpf(coordinate(f"{name}#{place}", 2))
        )
    return total


def _numeric_power(c: Any, base: Any, exponent: Any) -> Any:
    if base == 0:
        if c.re(exponent) <= 0:
            raise ZeroDivisionError("a power of zero")
        return c.mpf(0)
    if abs(c.re(exponent * c.ln(base))) > 5000:  # beyond a double in any case; multiprecision would go on for ever
        raise OverflowError
    return c.power(base, exponent)


def _numeric_root(c: Any, value: Any, degree: Any) -> Any:
    if degree == 0:
        raise ZeroDivisionError("a root of degree 0")
    if degree == 2:
        return c.sqrt(value)
    if c.im(value) == 0 and c.re(value) < 0 and degree == c.floor(c.re(degree)) and int(c.re(degree)) % 2:
        return -c.power(-value, 1 / degree)  # the real root, as it is written in school
    return c.power(value, 1 / degree)


def _real(c: Any, value: Any) -> Any:
    if c.im(value) != 0:
        raise ValueError("a complex number where a real one is due")
    return c.re(value)


def _numeric_factorial(c: Any, value: Any) -> Any:
    if abs(value) > 1000:
        raise OverflowError
    return c.factorial(value)


def _by_name(name: str, c: Any, value: Any) -> Any:
    return getattr(c, name)(value)


def _overflow() -> Any:
    raise OverflowError


_CONSTANTS: dict[str, Callable[[Any], Any]] = {
    "pi": lambda c: +c.pi,
    "e": lambda c: c.exp(c.mpf(1)),
    "i": lambda c: c.mpc(0, 1),
}
_NUMERIC: dict[str, Callable[..., Any]] = {
    "+": lambda c, *values: sum(values[1:], values[0]),
    "neg": lambda c, value: -value,
    "*": lambda c, *values: functools.reduce(operator.mul, values),
    "inverse": lambda c, value: 1 / value,
    "/": lambda c, a, b: a / b,
    "^": _numeric_power,
    "root": _numeric_root,
    "sqrt": lambda c, value: c.sqrt(value),
    "abs": lambda c, value: abs(value),
    "floor": lambda c, value: c.floor(_real(c, value)),
    "ceil": lambda c, value: c.ceil(_real(c, value)),
    "factorial": _numeric_factorial,
    "binomial": lambda c, n, k: c.binomial(n, k) if abs(n) < 1000 else _overflow(),
    "degrees": lambda c, value: value * c.pi / 180,
    "exp": lambda c, value: c.exp(value) if abs(value) < 5000 else _overflow(),
    "cis": lambda c, value: c.cos(value) + c.mpc(0, 1) * c.sin(value),
    "ln": lambda c, value: c.ln(value),
    "log": lambda c, value: c.ln(value),
    "lg": lambda c, value: c.ln(value) / c.ln(10),
    "cot": lambda c, value: c.cos(value) / c.sin(value),
    "sec": lambda c, value: 1 / c.cos(value),
    "csc": lambda c, value: 1 / c.sin(value),
    "asinh": lambda c, value: c.ln(value + c.sqrt(value * value + 1)),
    "acosh": lambda c, value: c.ln(value + c.sqrt(value * value - 1)),
    "atanh": lambda c, value: c.ln((1 + value) / (1 - value)) / 2,
    "acot": lambda c, value: c.pi / 2 - c.atan(value),
    "max": lambda c, *values: max(_real(c, v) for v in values),
    "min": lambda c, *values: min(_real(c, v) for v in values),
    **{
        name: functools.partial(_by_name, name)
        for name in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")
    },
}
