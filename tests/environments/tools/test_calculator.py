"""The calculator is exact, and bounded before it computes."""

from __future__ import annotations

import asyncio
import math
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.environments.tools.base import CallStatus
from reasonrl.environments.tools.calculator import Calculator, NotComputed, calculate, written


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("12 * 34", "408"),
        ("48213*5072", "244536336"),
        ("1/3 + 1/6", "0.5"),
        ("2/3", "2/3"),
        ("0.1 + 0.2", "0.3"),
        ("-7 // 2", "-4"),
        ("-7 % 3", "2"),
        ("2**-3", "0.125"),
        ("2^10", "1024"),
        ("3 × 4 ÷ 2", "6"),
        ("sqrt(144)", "12"),
        ("sqrt(1/4)", "0.5"),
        ("abs(-3)", "3"),
        ("factorial(5)", "120"),
        ("gcd(12, 18)", "6"),
        ("1e3 + 1", "1001"),
        ("1_000 + 1", "1001"),
        ("-1.5", "-1.5"),
        ("1**10**9", "1"),
        ("(-1)**(10**9+1)", "-1"),
        ("min(3, 1/2)", "0.5"),
    ],
)
def test_exact_values(expression: str, value: str) -> None:
    assert calculate(expression) == value


HOSTILE = [
    "9**9**9",
    "factorial(10**6)",
    "factorial(10**1000)",
    "2**(2**40)",
    "(1/3)**(10**9)",
    "(" * 10**5 + "1" + ")" * 10**5,
    "-" * 900 + "1",
    "1+" * 10**6 + "1",
    "9" * 10**6,
    "1e999999999",
    "1/0",
    "1%0",
    "0**-1",
    "sqrt(2)",
    "sqrt(-1)",
    "x",
    "",
    " ",
    "12*",
    "1 if 2 else 3",
    "__import__('os').system('true')",
    "(1).__class__",
    "[1, 2][0]",
    "'a' * 10**9",
    "True + 1",
    "1j",
    "nan",
    "lambda: 1",
    "gcd(1.5, 2)",
    "gcd(1)",
    "abs(x=1)",
    "1\x00",
    "\ud800",
    "999999999**999999999**2",
    "lcm(" + "9" * 400 + ", " + "7" * 400 + ")*" + "9" * 100,
]


@pytest.mark.parametrize("expression", HOSTILE, ids=[repr(text[:24]) for text in HOSTILE])
def test_what_cannot_be_computed_is_an_error_at_once(expression: str) -> None:
    started = time.perf_counter()
    result = asyncio.run(Calculator().call({"expression": expression}))
    seconds = time.perf_counter() - started
    assert result.status is CallStatus.ERROR or len(result.text) < 1300, result
    assert seconds < 0.5  # 50 ms where nothing else runs; the machine of a test may be busy
    assert "\n" not in result.text


def test_every_hostile_one_is_refused() -> None:
    for expression in HOSTILE[:-1]:
        with pytest.raises(NotComputed):
            calculate(expression)


NUMBERS = st.integers(-(10**6), 10**6)


@given(NUMBERS, NUMBERS, st.sampled_from("+-*/"))
def test_it_agrees_with_fractions(left: int, right: int, operation: str) -> None:
    if operation == "/" and right == 0:
        return
    exact = {"+": Fraction.__add__, "-": Fraction.__sub__, "*": Fraction.__mul__, "/": Fraction.__truediv__}[operation](
        Fraction(left), Fraction(right)
    )
    assert Fraction(calculate(f"({left}){operation}({right})")) == exact


@given(st.fractions())
def test_what_is_written_is_the_number(value: Fraction) -> None:
    assert Fraction(written(value)) == value


@given(st.text(max_size=60))
def test_any_text_is_answered(text: str) -> None:
    result = asyncio.run(Calculator().call({"expression": text}))
    assert result.status in (CallStatus.OK, CallStatus.ERROR)


def test_a_bound_on_bits_is_a_bound() -> None:
    assert calculate("2**4000") == str(2**4000)
    with pytest.raises(NotComputed, match="bits"):
        calculate("2**4096 * 2")
    assert calculate("factorial(400)") == str(math.factorial(400))
