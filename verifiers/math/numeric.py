"""Are two expressions equal? Exactly where they are rational numbers; else by their values at random points.

Two analytic expressions that agree to 45 digits at random points are the same one (Schwartz 1980 for polynomials; Gonnet 1984 uses it for
functions); one clear difference proves that they are not. So nothing is simplified, and the time is that of a few evaluations: first in
double precision, where most unequal pairs part, then with 60 digits.
"""

from __future__ import annotations

import cmath
import functools
import hashlib
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from verifiers.math.expression import Node

DIGITS = 60
AGREE = 45
"""Digits in which two values agree if the expressions are equal."""
MAX_BITS = 20_000
"""An exact number that would grow beyond this is left to floating point."""
MAX_FACTORIAL = 2000
RANGES = ((0.05, 0.95), (0.3, 2.2), (-2.2, -0.3), (0.05, 0.95), (1.5, 5.0), (-0.95, -0.05))
"""Where the symbols of each random point lie: inside the domain of an arcsine, beside 1, on both sides of 0."""
MAX_NODES = 20_000
PRIMES = (2305843009213693951, 2305843009213693921, 2305843009213693907)


class Undefined(ArithmeticError):
    """There is no value: a division by zero, infinity, a function outside its domain."""


class TooLarge(ArithmeticError):
    """The value is beyond what the arithmetic at hand can hold."""


class Unfit(ValueError):
    """Not what this arithmetic is for: a symbol or an irrational function in exact arithmetic."""


@dataclass(frozen=True, slots=True)
class Equality:
    equal: bool | None
    """None: it could not be decided here."""
    method: str


def same_value(one: Node, other: Node) -> Equality:
    """Whether two expressions are equal for all values of their symbols."""
    if one == other:
        return Equality(True, "same expression")
    if _size(one) + _size(other) > MAX_NODES:
        return Equality(None, "too long for probing")
    try:
        return Equality(exact(one) == exact(other), "rational")
    except Unfit:
        return _probe(one, other)
    except Undefined:
        return Equality(False, "undefined")
    except TooLarge:
        return _large(one, other)


def _size(node: Node) -> int:
    count, stack = 0, [node]
    while stack:
        count += 1
        stack.extend(stack.pop().args)
    return count


# ----------------------------------------------------------------------------------------------------------------- exact arithmetic


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
    "*": lambda a, b: a * b,
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


# ------------------------------------------------------------------------------------------------------------------- large numbers


def _large(one: Node, other: Node) -> Equality:
    """Numbers that cannot be written out: by size, then by their residues modulo large primes."""
    sizes = [_size_of(node) for node in (one, other)]
    if sizes[0] is not None and sizes[1] is not None and sizes[0] != sizes[1]:
        return Equality(False, "magnitude")
    try:
        equal = all(_residue(one, prime) == _residue(other, prime) for prime in PRIMES)
    except (Unfit, Undefined, TooLarge):
        return _same_powers(one, other)
    return Equality(equal, "residues")


def _size_of(node: Node) -> str | None:
    """ "small" for what a double can hold, "huge" beyond."""
    try:
        evaluate(node, _double(), {})
    except TooLarge:
        return "huge"
    except (Undefined, Unfit):
        return None
    return "small"


def _same_powers(one: Node, other: Node) -> Equality:
    """Towers: powers of one base are equal when their exponents are."""
    if one.op == other.op == "^" and one.args[0] == other.args[0]:
        try:
            if exact(one.args[0]) > 1:
                return same_value(one.args[1], other.args[1])
        except (Unfit, Undefined, TooLarge):
            pass
    return Equality(None, "too large")


def _residue(node: Node, prime: int) -> int:
    op = node.op
    if op == "number":
        assert isinstance(node.value, Fraction)
        return node.value.numerator * pow(node.value.denominator, -1, prime) % prime
    if op == "^":
        power = exact(node.args[1])
        if power.denominator != 1:
            raise Unfit("root")
        base = _residue(node.args[0], prime)
        if base == 0 and power < 0:
            raise Undefined
        return pow(base, power.numerator, prime)
    if op not in ("+", "neg", "*", "/"):
        raise Unfit(op)
    values = [_residue(argument, prime) for argument in node.args]
    if op == "+":
        return sum(values) % prime
    if op == "neg":
        return -values[0] % prime
    if op == "*":
        return values[0] * values[1] % prime
    if values[1] == 0:
        raise Undefined
    return values[0] * pow(values[1], -1, prime) % prime


# ------------------------------------------------------------------------------------------------------------------- random points


def _probe(one: Node, other: Node) -> Equality:
    names = sorted(one.symbols() | other.symbols())
    points = [{name: _coordinate(name, trial) for name in names} for trial in range(len(RANGES) if names else 1)]
    imaginary = _mentions(one, "i") or _mentions(other, "i")
    compared = 0
    agreeing: list[dict[str, float]] = []
    for point in points:
        values: list[Any] = []
        sizes = []
        for node in (one, other):
            try:
                values.append(evaluate(node, _double(), point))
                sizes.append("small")
            except TooLarge:
                sizes.append("huge")
            except (Undefined, Unfit):
                sizes.append("none")
        if sizes != ["small", "small"]:
            if sorted(sizes) == ["huge", "small"]:
                return Equality(False, "magnitude")
            if sorted(sizes) == ["none", "small"] and not names:
                return Equality(False, "undefined")
            continue
        if names and not imaginary and any(isinstance(value, complex) for value in values):
            continue  # outside the domain of real answers, where branch cuts part what is equal inside
        compared += 1
        if not _near(values[0], values[1], 1e-7):
            return Equality(False, "probing")
        agreeing.append(point)
    if compared == 0 or (names and compared < 2):
        return Equality(None, "no common values")
    for point in agreeing[:2]:
        try:
            first, second = (evaluate(node, _precise(), point) for node in (one, other))
        except (Undefined, Unfit, TooLarge):
            return Equality(None, "no common values")
        if not _near(first, second, _precise().mpf(10) ** -AGREE):
            return Equality(False, "probing")
    return Equality(True, "probing")


def _mentions(node: Node, op: str) -> bool:
    return node.op == op or any(_mentions(argument, op) for argument in node.args)


def _near(one: Any, other: Any, tolerance: Any) -> bool:
    scale = max(abs(one), abs(other))
    return bool(abs(one - other) <= tolerance * max(scale, tolerance))


def _coordinate(name: str, trial: int) -> float:
    """The value of a symbol, the same for both sides. A double, so that it is exact in every arithmetic."""
    digest = hashlib.blake2b(f"{name}/{trial}".encode(), digest_size=6).digest()
    low, high = RANGES[trial]
    return low + (high - low) * int.from_bytes(digest, "big") / 2**48


_LOCAL = threading.local()


def _precise() -> Any:
    """60 digits. A context belongs to a thread: mpmath changes it while it computes."""
    if not hasattr(_LOCAL, "context"):
        from mpmath.ctx_mp import MPContext

        _LOCAL.context = MPContext()
        _LOCAL.context.dps = DIGITS
    return _LOCAL.context


def _double() -> Any:
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
    except (ValueError, TypeError, NotImplementedError) as error:
        if isinstance(error, Unfit):
            raise
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
    total = c.mpf(_coordinate(name, 0))
    for place, value in enumerate(values):
        total += c.mpf(_coordinate(f"{name}#{place}", 1)) * value + c.sin(value * c.mpf(_coordinate(f"{name}#{place}", 2)))
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


_CONSTANTS: dict[str, Callable[[Any], Any]] = {"pi": lambda c: +c.pi, "e": lambda c: c.exp(c.mpf(1)), "i": lambda c: c.mpc(0, 1)}
_NUMERIC: dict[str, Callable[..., Any]] = {
    "+": lambda c, *values: sum(values[1:], values[0]),
    "neg": lambda c, value: -value,
    "*": lambda c, a, b: a * b,
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
    "ln": lambda c, value: c.ln(value),
    "log": lambda c, value: c.ln(value),
    "lg": lambda c, value: c.ln(value) / c.ln(10),
    "cot": lambda c, value: c.cos(value) / c.sin(value),
    "sec": lambda c, value: 1 / c.cos(value),
    "csc": lambda c, value: 1 / c.sin(value),
    "acot": lambda c, value: c.pi / 2 - c.atan(value),
    "max": lambda c, *values: max(_real(c, v) for v in values),
    "min": lambda c, *values: min(_real(c, v) for v in values),
    **{name: functools.partial(_by_name, name) for name in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")},
}  # fmt: skip


def same_equation(one: Node, other: Node) -> Equality:
    """Whether one = 0 and other = 0 say the same: their ratio is a constant that is not zero."""
    names = sorted(one.symbols() | other.symbols())
    if not names:
        return Equality(None, "no unknown")
    ratio: Any = None
    compared = 0
    context = _precise()
    for trial in range(len(RANGES)):
        point = {name: _coordinate(name, trial) for name in names}
        try:
            top, bottom = (evaluate(node, context, point) for node in (one, other))
        except (Undefined, Unfit, TooLarge):
            continue
        if top == 0 or bottom == 0:
            return Equality(False, "proportional equations")
        if ratio is None:
            ratio = top / bottom
        elif not _near(top / bottom, ratio, context.mpf(10) ** -AGREE):
            return Equality(False, "proportional equations")
        compared += 1
    return Equality(True if compared > 2 else None, "proportional equations")


def real_value(node: Node) -> Any:
    """The real value of a constant with 60 digits; None if it has symbols, no value, or is not real."""
    if node.symbols():
        return None
    try:
        value = evaluate(node, _precise(), {})
    except (Undefined, Unfit, TooLarge):
        return None
    return None if _precise().im(value) != 0 else _precise().re(value)
