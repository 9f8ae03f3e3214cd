"""Exact arithmetic, bounded before it is computed.

An expression is read with Python's parser and computed by a walk over a few kinds of nodes; nothing is evaluated as
code. Numbers are whole numbers and fractions of any size up to `LARGEST_BITS`: the size of every product, power and
factorial is estimated before it is computed, so that 9**9**9 is an answer within a millisecond and not a hang.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from reasonrl.environments.tools.base import CallStatus, ToolResult
from verifiers.python_source import UNPARSABLE, expression_of

LONGEST = 1000
"""Characters of an expression."""
DEEPEST = 60
"""Operations within operations."""
LARGEST_BITS = 4096
"""Of a number, numerators and denominators each."""

Number = int | Fraction


class NotComputed(Exception):
    """Why there is no result, in words for the policy."""


class Calculator:
    """The tool `calculator`. It has no state, so it is its own session."""

    name = "calculator"
    description = "Computes an arithmetic expression exactly: + - * / // % **, brackets, sqrt, abs, factorial, gcd."
    parameters = {  # noqa: RUF012 -- part of the protocol, and never written to
        "type": "object",
        "properties": {"expression": {"type": "string", "description": "e.g. 12 * (3 + 4)"}},
        "required": ["expression"],
    }
    deadline_s = 10.0
    is_instant = True

    def session(self, seed: int) -> Calculator:
        return self

    async def call(self, arguments: dict[str, Any]) -> ToolResult:
        try:
            return ToolResult(calculate(arguments["expression"]))
        except NotComputed as error:
            return ToolResult(f"error: {error}", CallStatus.ERROR)

    async def close(self) -> None:
        pass


def calculate(expression: str) -> str:
    """The value of an expression as text: a whole number, a decimal fraction that ends, or p/q in lowest terms.

    Raises NotComputed.
    """
    if len(expression) > LONGEST:
        raise NotComputed(f"the expression is longer than {LONGEST} characters")
    text = expression.strip().replace("^", "**").replace("×", "*").replace("÷", "/").replace("−", "-")
    if not text:
        raise NotComputed("the expression is empty")
    try:
        return written(_value(expression_of(text), text, 0))
    except UNPARSABLE:
        raise NotComputed("this is not an arithmetic expression") from None


def written(value: Number) -> str:
    """As `calculate` returns it."""
    if isinstance(value, int) or value.denominator == 1:
        return _digits(int(value))
    twos, fives, other = 0, 0, value.denominator
    while other % 2 == 0:
        other, twos = other // 2, twos + 1
    while other % 5 == 0:
        other, fives = other // 5, fives + 1
    places = max(twos, fives)
    if other != 1 or places > 50:
        return f"{_digits(value.numerator)}/{_digits(value.denominator)}"
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _digits(number: int) -> str:
    return str(number)  # LARGEST_BITS has fewer digits than the limit of Python's conversion


def _value(node: ast.expr, source: str, depth: int) -> Number:
    if depth > DEEPEST:
        raise NotComputed(f"more than {DEEPEST} operations are nested")
    if isinstance(node, ast.Constant):
        return _constant(node, source)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _value(node.operand, source, depth + 1)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp) and (operation := _OPERATIONS.get(type(node.op))):
        return _bounded(operation(_value(node.left, source, depth + 1), _value(node.right, source, depth + 1)))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        function = _FUNCTIONS.get(node.func.id)
        if function is None:
            raise NotComputed(f"there is no function {node.func.id[:40]!r}; there are {', '.join(_FUNCTIONS)}")
        counts, apply = function
        if len(node.args) not in counts:
            raise NotComputed(f"{node.func.id} takes {counts[0]} argument{'s' if counts[0] > 1 else ''}")
        return _bounded(apply(*(_value(argument, source, depth + 1) for argument in node.args)))
    if isinstance(node, ast.Name):
        raise NotComputed(f"{node.id[:40]!r} is not a number")
    raise NotComputed("this is not an arithmetic expression")


def _constant(node: ast.Constant, source: str) -> Number:
    if type(node.value) is int:
        return _bounded(node.value)
    if type(node.value) is float:  # as it was written: 0.1 is a tenth
        try:
            exact = Decimal((ast.get_source_segment(source, node) or "").replace("_", ""))
        except InvalidOperation:
            exact = Decimal("nan")
        if exact.is_finite() and abs(exact.adjusted()) < LARGEST_BITS // 4:
            return _bounded(Fraction(exact))
        raise NotComputed("a number is too large")
    raise NotComputed("this is not an arithmetic expression")


def _bits(value: Number) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _bounded(value: Number) -> Number:
    if _bits(value) > LARGEST_BITS:
        raise NotComputed(f"a number has more than {LARGEST_BITS} bits")
    return int(value) if isinstance(value, Fraction) and value.denominator == 1 else value


def _divide(left: Number, right: Number) -> Number:
    if right == 0:
        raise NotComputed("division by zero")
    return Fraction(left) / Fraction(right)


def _whole(operation: Callable[[Any, Any], Any]) -> Callable[[Number, Number], Number]:
    def apply(left: Number, right: Number) -> Number:
        if right == 0:
            raise NotComputed("division by zero")
        value: Number = operation(left, right)
        return value

    return apply


def _power(base: Number, exponent: Number) -> Number:
    if not isinstance(exponent, int):
        if exponent == Fraction(1, 2):
            return _root(base)
        raise NotComputed("an exponent must be a whole number")
    if base == 0 and exponent < 0:
        raise NotComputed("division by zero")
    if base not in (0, 1, -1) and (_bits(base) - 1) * abs(exponent) > LARGEST_BITS:
        raise NotComputed(f"a number has more than {LARGEST_BITS} bits")
    if base in (0, 1, -1):  # an exponent of any size
        return 1 if exponent == 0 or base == 1 else 0 if base == 0 else 1 if exponent % 2 == 0 else -1
    value: Number = Fraction(base) ** exponent
    return value


def _root(value: Number) -> Number:
    if value < 0:
        raise NotComputed("the root of a negative number is not a real number")
    roots = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if roots[0] ** 2 != value.numerator or roots[1] ** 2 != value.denominator:
        raise NotComputed("the root is not a rational number")
    return Fraction(*roots)


def _factorial(value: Number) -> Number:
    if not isinstance(value, int) or value < 0:
        raise NotComputed("factorial takes a whole number from 0")
    if value > 1 and math.lgamma(min(value, 10**6) + 1) / math.log(2) > LARGEST_BITS:
        raise NotComputed(f"a number has more than {LARGEST_BITS} bits")
    return math.factorial(value)


def _of_integers(function: Callable[..., int]) -> Callable[..., Number]:
    def apply(*values: Number) -> Number:
        if not all(isinstance(value, int) for value in values):
            raise NotComputed(f"{function.__name__} takes whole numbers")
        return function(*values)

    return apply


_OPERATIONS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divide,
    ast.FloorDiv: _whole(operator.floordiv),
    ast.Mod: _whole(operator.mod),
    ast.Pow: _power,
}
_FUNCTIONS: dict[str, tuple[tuple[int, ...], Callable[..., Number]]] = {
    "sqrt": ((1,), _root),
    "abs": ((1,), abs),
    "factorial": ((1,), _factorial),
    "gcd": ((2,), _of_integers(math.gcd)),
    "lcm": ((2,), _of_integers(math.lcm)),
    "floor": ((1,), math.floor),
    "ceil": ((1,), math.ceil),
    "min": ((2, 3, 4), min),
    "max": ((2, 3, 4), max),
}
"""Name -> (numbers of arguments, function)."""
