"""What a name in the text of a test may stand for."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from verifiers.sandbox.types import Call

Names = dict[str, Any]
"""By name: a plain value, or one of the classes below."""


class Unconvertible(Exception):
    """The test cannot be turned into calls and expected values.

    `shared`: nor can it run apart from the program, because more than plain values would pass between them.
    """

    def __init__(self, reason: str, *, shared: bool = False) -> None:
        super().__init__(reason)
        self.shared = shared


@dataclass(frozen=True, slots=True)
class Program:
    """A function of the program, as the value of a name of the test."""

    function: str


@dataclass(frozen=True, slots=True)
class Instance:
    """`Solution()`: an object of the program without arguments."""

    name: str


@dataclass(frozen=True, slots=True)
class Pending:
    """What comes of a call of the program: an expression over HOLE."""

    call: Call
    expression: ast.expr


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the standard library, or something in it: "math", "math.isclose"."""

    name: str


@dataclass(frozen=True, slots=True)
class Helper:
    """A function that the test text defines."""

    definition: ast.FunctionDef
    names: Names = field(default_factory=dict, compare=False, repr=False)
    """What its own names stand for: those of the place where it is defined, as they are when it is called."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name whose value cannot be computed here. `shared`: a text that uses it must share the program's process."""

    reason: str
    shared: bool = False


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """Python's own name, in the evaluator's tables or not."""
