"""The checks: what is expected of one outcome. Decided in the caller's process, on plain values.

A value that is not plain (`Opaque`: an object of the program's own class, an iterator) passes no check, whatever its
own methods would say.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from verifiers.code.comparison.equality import EXACT, Tolerance, Types, difference, shown
from verifiers.code.comparison.output import OutputMode, output_difference
from verifiers.code.types import Check
from verifiers.sandbox.types import Ending, Outcome
from verifiers.sandbox.values import Items, Opaque

Operator = Literal["<", "<=", ">", ">="]

_ORDER: dict[Operator, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def unfinished(outcome: Outcome) -> str:
    """Empty if the program finished; otherwise one line that says how it ended instead."""
    if outcome.ending == Ending.FINISHED:
        return ""
    return outcome.error or f"ended with {outcome.ending.value.replace('_', ' ')}"


@dataclass(frozen=True, slots=True)
class ValueCheck:
    """A check of what a call returned. Subclasses say what is wrong with a plain value."""

    takes_items: ClassVar[bool] = False
    """Whether a generator and the like, as `Items`, is something that the check can decide on."""

    def failure(self, outcome: Outcome) -> str:
        if line := unfinished(outcome):
            return line
        value = outcome.value
        if isinstance(value, Opaque) or (isinstance(value, Items) and not self.takes_items):
            return f"expected a plain value, got {shown(value)}, of type {value.type_name}"
        return self.mistake(value)

    def mistake(self, value: Any) -> str:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Equals(ValueCheck):
    """`f(x) == expected`, by the rules of `verifiers.code.comparison.equality`."""

    expected: Any
    tolerance: Tolerance = EXACT
    types: Types = "python"

    def mistake(self, value: Any) -> str:
        return difference(self.expected, value, self.tolerance, self.types)


@dataclass(frozen=True, slots=True)
class Differs(ValueCheck):
    """`f(x) != unexpected`."""

    unexpected: Any
    types: Types = "python"

    def mistake(self, value: Any) -> str:
        if difference(self.unexpected, value, EXACT, self.types):
            return ""
        return f"expected anything but {shown(self.unexpected)}"


@dataclass(frozen=True, slots=True)
class OneOf(ValueCheck):
    """`f(x) in options`: equal to one of them; with `negated`, to none."""

    options: tuple[Any, ...]
    tolerance: Tolerance = EXACT
    types: Types = "python"
    negated: bool = False

    def mistake(self, value: Any) -> str:
        is_one = any(not difference(option, value, self.tolerance, self.types) for option in self.options)
        if is_one != self.negated:
            return ""
        return f"expected {'none' if self.negated else 'one'} of {shown(self.options)}, got {shown(value)}"


@dataclass(frozen=True, slots=True)
class Contains(ValueCheck):
    """`item in f(x)`: a part of a text, an item, a member or a key; with `negated`, not in it."""

    item: Any
    negated: bool = False

    def mistake(self, value: Any) -> str:
        if isinstance(value, str):
            contains = isinstance(self.item, str) and self.item in value
        elif isinstance(value, bytes):
            contains = isinstance(self.item, bytes) and self.item in value
        elif isinstance(value, list | tuple | set | frozenset | dict):
            contains = any(not difference(self.item, each) for each in value)
        else:
            return f"expected something that contains {shown(self.item)}, got {shown(value)}"
        if contains != self.negated:
            return ""
        return f"expected {shown(self.item)} {'not ' if self.negated else ''}to be in {shown(value)}"


@dataclass(frozen=True, slots=True)
class Truthy(ValueCheck):
    """`assert f(x)`; with `expected` False, `assert not f(x)`."""

    expected: bool = True

    def mistake(self, value: Any) -> str:
        if bool(value) == self.expected:
            return ""
        return f"expected a {'true' if self.expected else 'false'} value, got {shown(value)}"


@dataclass(frozen=True, slots=True)
class Close(ValueCheck):
    """`abs(f(x) - expected) < absolute`, or `math.isclose(f(x), expected, rel_tol=, abs_tol=)` where `relative` is
    given; `inclusive`: <=. The value must be an int or a float that is not nan.
    """

    expected: float
    absolute: float = 0.0
    relative: float | None = None
    inclusive: bool = False

    def mistake(self, value: Any) -> str:
        if type(value) not in (int, float):
            return f"expected a number near {shown(self.expected)}, got {shown(value)}"
        try:
            if self.relative is not None:
                near = math.isclose(value, self.expected, rel_tol=self.relative, abs_tol=self.absolute)
            else:
                distance = abs(value - self.expected)
                near = distance <= self.absolute if self.inclusive else distance < self.absolute
        except OverflowError:  # an int beyond the largest float
            near = False
        return "" if near else f"expected a number near {shown(self.expected)}, got {shown(value)}"


@dataclass(frozen=True, slots=True)
class Compared(ValueCheck):
    """`f(x) < bound` and the like, between two numbers or two values of one type. A bool is not a number."""

    operator: Operator
    bound: Any

    def mistake(self, value: Any) -> str:
        kinds = [int if type(each) is float else type(each) for each in (value, self.bound)]
        line = f"expected a value {self.operator} {shown(self.bound)}, got {shown(value)}"
        if kinds[0] is not kinds[1]:
            return line
        try:
            return "" if _ORDER[self.operator](value, self.bound) else line
        except (TypeError, RecursionError):  # two lists whose items have no order
            return line


@dataclass(frozen=True, slots=True)
class IsInstance(ValueCheck):
    """`isinstance(f(x), (list, tuple))`, `type(f(x)) is int`: by the names of built-in types. A bool is not an int."""

    names: tuple[str, ...]

    def mistake(self, value: Any) -> str:
        if type(value).__name__ in self.names:
            return ""
        return f"expected a value of type {' or '.join(self.names)}, got {shown(value)} ({type(value).__name__})"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of the checks at least."""

    checks: tuple[Check, ...]

    def failure(self, outcome: Outcome) -> str:
        lines = [check.failure(outcome) for check in self.checks]
        return "" if "" in lines else "; or ".join(lines)


@dataclass(frozen=True, slots=True)
class Raises:
    """The call raises one of these exceptions or of their subclasses; any at all where `names` is empty. What the
    program's own lines raise before the call is none of them.
    """

    names: tuple[str, ...] = ()

    def failure(self, outcome: Outcome) -> str:
        wanted = " or ".join(self.names) or "an exception"
        if outcome.ending == Ending.FINISHED:
            return f"expected {wanted}, got {shown(outcome.value)}"
        if not outcome.has_answered:
            return f"expected {wanted}: {unfinished(outcome)}"
        if not self.names or any(
            _is_subclass(name, base) for name in (outcome.exception, *outcome.bases) for base in self.names
        ):
            return ""
        return f"expected {wanted}, got {outcome.error or outcome.exception}"


def _is_subclass(name: str, base: str) -> bool:
    """Of two exceptions by their names."""
    if name == base:
        return True
    child, parent = getattr(builtins, name, Exception), getattr(builtins, base, None)
    return isinstance(child, type) and isinstance(parent, type) and issubclass(child, parent)


@dataclass(frozen=True, slots=True)
class StdoutMatches:
    """A script that exits with status 0 and writes the expected text, by the rules of `comparison.output`."""

    expected: str
    mode: OutputMode = "lines"
    tolerance: Tolerance = EXACT
    """For `numbers` alone, and only where the expected number is written with a point or an exponent."""

    def failure(self, outcome: Outcome) -> str:
        return unfinished(outcome) or output_difference(self.expected, outcome.stdout, self.mode, self.tolerance)
