"""`benchmarks/program_forms.py`: which programs count as one."""

from __future__ import annotations

import pytest

from benchmarks.program_forms import normal_form


def form(expression: str) -> str:
    return normal_form(f"def f(x, y): return {expression}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x - y", "-y + x"),
        ("x - (y - 3)", "3 + x-y"),
        ("2 * (x + 1)", "(1 + x) * 2"),
        ("max(x, y + 1)", "max(1 + y, (x))"),
        ("x if x > y else y", "y if x <= y else x"),
        ("x if x == y else 2", "2 if y != x else x"),
        ("-(x + y)", "-x - y"),
    ],
)
def test_order_and_brackets_make_no_other_program(one: str, other: str) -> None:
    assert form(one) == form(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x + x", "2 * x"),
        ("x * x", "x ** 2"),
        ("max(x, y)", "x if x > y else y"),
        ("x - y", "y - x"),
        ("x // y", "y // x"),
        ("x if x > y else y", "x if x >= y else y"),
        ("x + 1", "x + 2"),
        ("-(x + y)", "-x + y"),
    ],
)
def test_another_operator_or_operand_makes_another_program(one: str, other: str) -> None:
    assert form(one) != form(other)


def test_names_of_arguments_and_layout_do_not_matter() -> None:
    assert normal_form("def f(x, y): return x - y") == normal_form("def f(a, b):\n    # a note\n    return (a - b)\n")
    assert normal_form("def f(x, y): return x - y") != normal_form("def f(y, x): return x - y")
    assert normal_form("import math") != normal_form("import os")
