"""EvalPlus: the rule by which its tests compare, and its rows with `base_input` and `plus_input`."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from verifiers.code.asserts.holds import HOLE
from verifiers.code.asserts.meaning import Names, Pending
from verifiers.code.comparison.checkers import Special
from verifiers.code.comparison.checks import Equals
from verifiers.code.comparison.equality import EXACT, Tolerance, Types
from verifiers.code.types import BadTests, Case, Check, TestText
from verifiers.python_source import tree_of
from verifiers.sandbox.types import Call

_HELPERS = ("assertion", "is_floats")
PARTS = ("base", "plus")
RELATIVE = 1e-7
FLOATS_ABSOLUTE = 1e-6


_SET = "similar_elements find_char_long common_in_nested_lists extract_singly larg_nnum intersection_array Diff"
_CHECKERS = {
    "find_zero": "polynomial_root",
    **dict.fromkeys(["check_str", "text_match_three", "text_starta_endb"], "presence"),
    **dict.fromkeys([*_SET.split(), "find_dissimilar"], "same_members"),
}
"""EvalPlus names the functions whose results its scorer compares in another way: any root of the polynomial, a match or
nothing, the same members.
"""


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
    call = values[0].call
    if call.function in _CHECKERS:
        return Special(_CHECKERS[call.function], call, values[1])
    return evalplus_check(values[1], float(absolute))


def without_numpy(script: ast.Module) -> ast.Module:
    """A text in which EvalPlus's `assertion` is written without numpy, which no sandbox needs to have for it."""
    helpers = [node for node in script.body if isinstance(node, ast.FunctionDef) and node.name in _HELPERS]
    if not any("allclose" in ast.unparse(node) for node in helpers):
        return script
    others = [node for node in script.body if node not in helpers and not _imports_numpy(node)]
    if any(isinstance(part, ast.Name) and part.id in ("np", "numpy") for node in others for part in ast.walk(node)):
        return script
    return ast.Module([*tree_of(_SAME + _ASSERTION).body, *others], [])


_COMPARED = {
    "presence": "bool(result) == bool(expected)",
    "same_members": "all(item in expected for item in result) and all(item in result for item in expected)",
}
"""What the checkers of `_CHECKERS` say, in a text."""


def _imports_numpy(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import) and all(alias.name == "numpy" for alias in node.names)


def read_evalplus(reference: Mapping[str, Any], solution: str) -> tuple[tuple[Case, ...], tuple[TestText, ...]]:
    """The tests of a row with `base_input`, `plus_input`, `atol`, as cases if it has `expected_output`; otherwise as a
    text in which the reference solution says what is expected. Raises BadTests.
    """
    entry_point = reference.get("entry_point")
    if not isinstance(entry_point, str) or not entry_point.isidentifier():
        raise BadTests("`entry_point` is missing; write the name of the function to test")
    absolute = reference.get("atol") or reference.get("float_tolerance") or 0
    if isinstance(absolute, bool) or not isinstance(absolute, int | float):
        raise BadTests(f"`atol` is {absolute!r}; write a number, e.g. 1e-6")
    inputs = {part: _inputs(reference, part) for part in PARTS}
    if not any(inputs.values()):
        raise BadTests("`base_input` and `plus_input` are empty; a problem needs a test")
    outputs, checker = _outputs(reference), reference.get("checker") or _CHECKERS.get(entry_point)
    if not isinstance(checker, str | None) or not isinstance(reference.get("checker_options"), dict | None):
        raise BadTests("`checker` must be a name and `checker_options` a mapping")
    if outputs is None and reference.get("checker"):
        raise BadTests(
            f"the checker {checker!r} compares with expected values; give them as `expected_output`, "
            '{"base": [...], "plus": [...]}'
        )
    if outputs is None and checker == "polynomial_root":  # the polynomial alone decides
        outputs = {part: [None] * len(rows) for part, rows in inputs.items()}
    if outputs is None:
        if not solution.strip():
            raise BadTests(
                '`base_input` comes without `expected_output`; give it as {"base": [...], "plus": [...]}, or the '
                "reference solution as `canonical_solution`"
            )
        return (), tuple(
            TestText(_differential(solution, entry_point, rows, float(absolute), checker), (entry_point,), part)
            for part, rows in inputs.items()
            if rows
        )
    cases = []
    for part, rows in inputs.items():
        expected = outputs.get(part, [])
        if not isinstance(expected, list) or len(expected) != len(rows):
            raise BadTests(f"`expected_output.{part}` must be a list of {len(rows)} values, one for each input")
        for i, (args, value) in enumerate(zip(rows, expected, strict=True)):
            call = Call(entry_point, tuple(args))
            check = (
                Special(checker, call, value, reference.get("checker_options") or {})
                if checker
                else evalplus_check(value, float(absolute), "json")
            )
            cases.append(Case(call, check, name=f"{part} test {i}"))
    return tuple(cases), ()


def _inputs(reference: Mapping[str, Any], part: str) -> list[list[Any]]:
    rows = reference.get(f"{part}_input") or []
    if not isinstance(rows, list) or not all(isinstance(args, list) for args in rows):
        raise BadTests(f"`{part}_input` must be a list of lists of arguments")
    return rows


def _outputs(reference: Mapping[str, Any]) -> Mapping[str, Any] | None:
    together = reference.get("expected_output")
    if isinstance(together, Mapping):
        return together
    if together is not None:
        raise BadTests('`expected_output` must be a mapping {"base": [...], "plus": [...]}')
    apart = {part: reference[f"{part}_output"] for part in PARTS if reference.get(f"{part}_output") is not None}
    return apart or None


def _differential(solution: str, entry_point: str, rows: list[list[Any]], absolute: float, checker: str | None) -> str:
    """The text of a test that runs the reference solution beside the program and compares what the two return."""
    return (
        f"inf, nan = float('inf'), float('nan')\n"  # as `repr` writes them in the rows
        f"reference_names = {{}}\nexec({solution!r}, reference_names)\n{_SAME}\n"
        f"for arguments in {rows!r}:\n"
        f"    expected = reference_names[{entry_point!r}](*copy.deepcopy(arguments))\n"
        f"    result = {entry_point}(*copy.deepcopy(arguments))\n"
        f"    assert {_COMPARED.get(checker or '', f'same(result, expected, {absolute!r})')}\n"
    )


_SAME = f"""\
import copy


def all_floats(value):
    if isinstance(value, (list, tuple)):
        return all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def near(got, expected, atol):
    if isinstance(expected, (list, tuple)):
        return type(got) is type(expected) and len(got) == len(expected) and all(
            near(a, b, atol) for a, b in zip(got, expected)
        )
    if not isinstance(expected, float) or isinstance(got, bool) or not isinstance(got, (int, float)):
        return type(got) is type(expected) and got == expected
    return got == expected or got != got and expected != expected or abs(expected) != float("inf") and (
        abs(got - expected) <= atol + {RELATIVE!r} * abs(expected)
    )


def same(got, expected, atol):
    atol = atol or ({FLOATS_ABSOLUTE!r} if all_floats(expected) else 0)
    if isinstance(got, bool) != isinstance(expected, bool):
        return False
    return got == expected or bool(atol) and near(got, expected, atol)
"""

_ASSERTION = """

def assertion(out, exp, atol):
    assert same(out, exp, atol)
"""
