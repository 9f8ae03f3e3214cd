"""Are two expressions equal? Exactly where they are rational numbers; else by their values at random points.

Two analytic expressions that agree to 45 digits at random points are the same one (Schwartz 1980 for polynomials;
Gonnet 1984 uses it for functions); one clear difference proves that they are not. So nothing is simplified, and the
time is that of a few evaluations: first in double precision, where most unequal pairs differ, then with 60 digits.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from verifiers.math.exact import TooLarge, Undefined, Unfit, exact
from verifiers.math.tree import Node
from verifiers.math.values import DIGITS, RANGES, coordinate, double, evaluate, precise

IMAGINARY = frozenset({"i"})
AGREE = 45
"""Digits in which two values agree if the expressions are equal."""
MAX_NODES = 20_000
MAX_MAGNITUDE = 400
"""Digits before or after the point that are reckoned with beside the usual ones."""
MAX_FACTORIAL = 20_000
"""Factors of a factorial that are multiplied modulo a prime: 2 ms."""
PRIMES = (2305843009213693951, 2305843009213693921, 2305843009213693907)


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
    values, troubles = [], set()
    for node in (one, other):  # both, so that the outcome does not depend on which comes first
        try:
            values.append(exact(node))
        except (Unfit, Undefined, TooLarge) as trouble:
            troubles.add(type(trouble))
    if not troubles:
        return Equality(values[0] == values[1], "rational")
    if Undefined in troubles:
        return Equality(False, "undefined")
    return _probe(one, other) if Unfit in troubles else _large(one, other)


def _size(node: Node) -> int:
    """Nodes of the tree."""
    count, stack = 0, [node]
    while stack:
        count += 1
        stack.extend(stack.pop().args)
    return count


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
        evaluate(node, double(), {})
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
    """The value of a rational expression modulo a prime. Raises Unfit, Undefined or TooLarge."""
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
    if op == "factorial":
        return _factorial_residue(exact(node.args[0]), prime)
    if op == "binomial":
        n, k = (exact(argument) for argument in node.args)
        below = _factorial_residue(k, prime) * _factorial_residue(n - k, prime)
        return _factorial_residue(n, prime) * pow(below, -1, prime) % prime
    if op not in ("+", "neg", "*", "/", "inverse"):
        raise Unfit(op)
    values = [_residue(argument, prime) for argument in node.args]
    if op == "+":
        return sum(values) % prime
    if op == "neg":
        return -values[0] % prime
    if op == "*":
        return functools.reduce(lambda a, b: a * b % prime, values)
    top, bottom = (1, values[0]) if op == "inverse" else values
    if bottom == 0:
        raise Undefined
    return top * pow(bottom, -1, prime) % prime


@functools.lru_cache(maxsize=256)
def _factorial_residue(n: Fraction, prime: int) -> int:
    if n.denominator != 1 or n < 0:
        raise Unfit("factorial")
    if n > MAX_FACTORIAL:
        raise TooLarge
    return functools.reduce(lambda a, b: a * b % prime, range(2, n.numerator + 1), 1)


def _probe(one: Node, other: Node) -> Equality:
    """Whether both have the same values at all random points where both have one; undecided below two such points."""
    names = sorted(one.symbols() | other.symbols())
    points = [{name: coordinate(name, trial) for name in names} for trial in range(len(RANGES) if names else 1)]
    imaginary = mentions(one, IMAGINARY) or mentions(other, IMAGINARY)
    compared = 0
    agreeing: list[tuple[dict[str, float], int]] = []
    for point in points:
        values: list[Any] = []
        sizes = []
        for node in (one, other):
            try:
                values.append(evaluate(node, double(), point))
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
        agreeing.append((point, min(MAX_MAGNITUDE, math.ceil(abs(math.log10(max(map(abs, values)) or 1))))))
    if compared == 0 or (names and compared < 2):
        return Equality(None, "no common values")
    for point, magnitude in agreeing[:2]:
        with _digits(DIGITS + magnitude) as context:
            try:
                first, second = (evaluate(node, context, point) for node in (one, other))
            except (Undefined, Unfit, TooLarge):
                return Equality(None, "no common values")
            tolerance = context.mpf(10) ** -(AGREE + magnitude)
            if not _near(first, second, tolerance, tolerance / 10**5):
                return Equality(False, "probing")
    return Equality(True, "probing")


@contextlib.contextmanager
def _digits(digits: int) -> Iterator[Any]:
    """More digits for large and small values: 32^{50} + x differs from 32^{50} in the 76th."""
    context = precise()
    context.dps = digits
    try:
        yield context
    finally:
        context.dps = DIGITS


def mentions(node: Node, ops: frozenset[str]) -> bool:
    """Whether an operation of `ops` is anywhere in the tree."""
    return node.op in ops or any(mentions(argument, ops) for argument in node.args)


def _near(one: Any, other: Any, tolerance: Any, zero: Any = None) -> bool:
    """Whether two values differ by at most `tolerance` relative to the larger one, or are both below `zero`, the
    rounding error of a sum that cancels (default: `tolerance`).
    """
    scale = max(abs(one), abs(other))
    return bool(scale <= (tolerance if zero is None else zero) or abs(one - other) <= tolerance * scale)


def same_equation(one: Node, other: Node) -> Equality:
    """Whether one = 0 and other = 0 say the same: their ratio is a constant that is not zero."""
    names = sorted(one.symbols() | other.symbols())
    if not names:
        return Equality(None, "no unknown")
    ratio: Any = None
    compared = 0
    context = precise()
    for trial in range(len(RANGES)):
        point = {name: coordinate(name, trial) for name in names}
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
        value = evaluate(node, precise(), {})
    except (Undefined, Unfit, TooLarge):
        return None
    return None if precise().im(value) != 0 else precise().re(value)
