"""A condition of a test that has no check of its own, evaluated in the caller's process on what the call returned."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any, ClassVar

from verifiers.code.asserts.literals import FAILURES, value_of
from verifiers.code.comparison.checks import ValueCheck
from verifiers.code.comparison.equality import shown

HOLE = "_result_"
"""The name that stands for the call's value."""


@dataclass(frozen=True, slots=True)
class Holds(ValueCheck):
    """`len(f(x)) == 3 and f(x)[0] > 1`, with every call of the program replaced by one name. Nothing is executed: see
    `verifiers.code.asserts.literals`.
    """

    text: str
    """The condition as the test has it, for the message."""
    condition: ast.expr = field(compare=False, repr=False)
    takes_items: ClassVar[bool] = True

    def mistake(self, value: Any) -> str:
        try:
            holds = bool(value_of(self.condition, {HOLE: value}))
        except FAILURES as error:
            return f"{self.text} cannot be computed for {shown(value)}: {type(error).__name__}: {str(error)[:80]}"
        return "" if holds else f"expected {self.text}, got {shown(value)}"
