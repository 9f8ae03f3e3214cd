"""The value of a rational expression, exactly; and what no arithmetic can give."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from verifiers.math.tree import Node

MAX_BITS = 20_000
"""An exact number that would grow beyond this is left to floating point."""
MAX_FACTORIAL = 2000


class Undefined(ArithmeticError):
    """The expression has no value: a division by zero, infinity, a function outside its domain."""


class TooLarge(ArithmeticError):
    """The value is too large for this arithmetic."""


class Unfit(ValueError):
    """Not what this arithmetic is for: a symbol or an irrational function in exact arithmetic."""


def exact(node: Node) -> Fraction:
    """The value of a rational expression. Raises Unfit, Undefined or TooLarge."""
    op = node.op
    if op == "number":
        assert isinstance(node.value, Fraction)
        return node.value
    if op in ("symbol", "apply", "e", "i", "pi", "degrees", "infinity"):
        raise Unfit(op)
    if op == "root":
        return _exact_root(exact(node.args[0]), exact(node.args[1]))
    if op not in _EXACT:
        raise Unfit(op)
    values = [exact(argument) for argument in node.args]
    result = _EXACT[op](*values)
    if result.numerator.bit_length() + result.denominator.bit_length() > MAX_BITS:
        raise TooLarge
    return result


def _divide(top: Fraction, bottom: Fraction) -> Fraction:
    if bottom == 0:
        raise Undefined("a division by zero")
    return top / bottom


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        return _exact_root(_power(base, Fraction(exponent.numerator)), Fraction(exponent.denominator))
    power = exponent.numerator
    if base == 0:
        if power <= 0:
            raise Undefined("a power of zero")
        return base
    if abs(base) != 1 and abs(power) * (base.numerator.bit_length() + base.denominator.bit_length()) > MAX_BITS:
        raise TooLarge
    return base**power if abs(base) != 1 else base ** (power % 2)


def _exact_root(value: Fraction, degree: Fraction) -> Fraction:
    """Raises Unfit unless the root is rational and real."""
    if degree.denominator != 1 or not 1 <= degree.numerator <= 64 or value < 0:
        raise Unfit("root")
    parts = [_integer_root(part, degree.numerator) for part in (value.numerator, value.denominator)]
    return Fraction(*parts)


def _integer_root(value: int, degree: int) -> int:
    if degree == 2:
        root = math.isqrt(value)
    else:
        low, high = 0, 1 << (value.bit_length() // degree + 1)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
        root = low
    if root**degree != value:
        raise Unfit("root")
    return root


def _natural(value: Fraction, limit: int) -> int:
    if value.denominator != 1 or value < 0:
        raise Unfit("not a natural number")
    if value > limit:
        raise TooLarge
    return value.numerator


_EXACT: dict[str, Callable[..., Fraction]] = {
    "+": lambda *values: sum(values, Fraction(0)),
    "neg": lambda value: -value,
    "*": lambda *values: math.prod(values, start=Fraction(1)),
    "inverse": lambda value: _divide(Fraction(1), value),
    "/": _divide,
    "^": _power,
    "abs": abs,
    "floor": lambda value: Fraction(math.floor(value)),
    "ceil": lambda value: Fraction(math.ceil(value)),
    "factorial": lambda value: Fraction(math.factorial(_natural(value, MAX_FACTORIAL))),
    "binomial": lambda n, k: Fraction(math.comb(_natural(n, MAX_FACTORIAL), _natural(k, MAX_FACTORIAL))),
    "max": lambda *values: max(values),
    "min": lambda *values: min(values),
    "gcd": lambda *values: Fraction(math.gcd(*(_natural(v, 10**300) for v in values))),
    "lcm": lambda *values: Fraction(math.lcm(*(_natural(v, 10**300) for v in values))),
}
