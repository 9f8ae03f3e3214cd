"""EvalPlus: the rule by which its tests compare, and its rows with `base_input` and `plus_input`."""

from __future__ import annotations

import ast
from typing import Any

from verifiers.code.comparison import Equals
from verifiers.code.equality import EXACT, Tolerance, Types
from verifiers.code.holds import HOLE
from verifiers.code.reduction import Names, Pending
from verifiers.code.types import Check

RELATIVE = 1e-7
FLOATS_ABSOLUTE = 1e-6


def evalplus_check(expected: Any, absolute: float, types: Types = "python") -> Check:
    """Exactly equal; or within `absolute` and a relative 1e-7 where the task has a tolerance, or where the expected
    value is a float or a list of floats alone (then 1e-6).
    """
    if not absolute and _is_floats(expected):
        absolute = FLOATS_ABSOLUTE
    return Equals(expected, Tolerance(RELATIVE, absolute) if absolute else EXACT, types)


def _is_floats(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def comparison_helper(definition: ast.FunctionDef, arguments: Names) -> Check | None:
    """The check of `assertion(candidate(*inp), exp, 0)`, the helper of EvalPlus's `test` sources; None for others."""
    if definition.name != "assertion" or "allclose" not in ast.unparse(definition):
        return None
    values = list(arguments.values())
    if len(values) != 3 or not isinstance(values[0], Pending) or isinstance(values[1], Pending):
        return None
    expression, absolute = values[0].expression, values[2]
    if not isinstance(expression, ast.Name) or expression.id != HOLE or type(absolute) not in (int, float):
        return None
    return evalplus_check(values[1], float(absolute))
