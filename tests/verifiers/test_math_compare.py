"""The layers that need no sympy."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.math.compare import compare
from verifiers.math.layers.preparation import MAX_CHARS
from verifiers.math.normalise import canonical_decimal, rational, same_plain


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("5", "5"),
        ("5.0", "5"),
        ("+5", "5"),
        ("005", "5"),
        ("-0", "0"),
        (".5", "1/2"),
        ("1,234", "1234"),
        (r"5,\!460", "5460"),
        ("1{,}000", "1000"),
        ("1\u00a0000", "1000"),
        (r"1\,000", "1000"),
        ("\u22125", "-5"),
        ("\uff11\uff12", "12"),
        (r"\$18", "18"),
        ("$18$", "18"),
        ("$18", "18"),
        (r"\frac{1}{2}", "0.5"),
        (r"-\dfrac{2}{4}", "-0.5"),
        (r"\frac12", "1/2"),
        ("2e3", "2000"),
        (r"2 \times 10^{3}", "2000"),
        ("x = 5", "5"),
        (r"\text{Monday}", "monday"),
        ("(C)", "C"),
        ("5.", "5"),
        ("x\u00b2", "x^{2}"),
        ("\u0661\u0662", "12"),
        ("\U0001d7cf\U0001d7d0", "12"),
        ("\u00bd", "1/2"),
        ("5\u00bd", "5.5"),
        ("x\u2082", "x_{2}"),
        ("9" * 50_000, "0" + "9" * 50_000),
    ],
)
def test_equal(answer: str, gold: str) -> None:
    comparison = compare(answer, gold)
    assert comparison is not None and comparison.equal, comparison


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("5", "6"),
        ("1 1/2", "11/2"),
        ("0.33", "0.333"),
        ("1/3", "2/3"),
        ("0,125", "125"),
        ("7" * 5000, "7" * 4999 + "8"),
        ("no idea", "5"),
        ("1e999", "1"),
        ("12", "1 2"),
    ],
)
def test_never_equal(answer: str, gold: str) -> None:
    comparison = compare(answer, gold)
    assert comparison is None or not comparison.equal


@pytest.mark.parametrize(
    ("answer", "gold"),
    [(r"\sum_{k=1}^n k", r"\frac{n(n+1)}{2}"), (r"\sum_{k=1}^{9} k^2", "285"), ("x^5 - x + 1 > 0", "x > -1.1673")],
)
def test_what_needs_algebra_is_left_to_it(answer: str, gold: str) -> None:
    assert compare(answer, gold) is None


@given(st.fractions())
def test_a_fraction_is_read_exactly_however_it_is_written(value: Fraction) -> None:
    assert rational(f"{value.numerator}/{value.denominator}") == value
    sign = "-" if value < 0 else ""
    assert rational(f"{sign}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}") == value


@given(st.decimals(allow_nan=False, allow_infinity=False, places=5), st.integers(0, 3), st.integers(0, 3))
def test_zeros_do_not_change_a_decimal(value: object, before: int, after: int) -> None:
    text = format(value, "f")
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    padded = sign + "0" * before + digits + "0" * after
    assert canonical_decimal(padded) == canonical_decimal(text)
    assert rational(padded) == Fraction(text)


@given(st.integers(-(10**12), 10**12))
def test_thousands_separators(value: int) -> None:
    assert same_plain(f"{value:,}", str(value))


@given(st.text(), st.text())
def test_comparison_breaks_on_nothing_and_is_symmetric(one: str, other: str) -> None:
    assert same_plain(one, one)
    assert same_plain(one, other) == same_plain(other, one)
    compare(one, other)


UNITS = [
    "9",
    "1,",
    "{",
    "\\text{",
    "$",
    " ",
    "a",
    "-",
    "1/",
    "e5",
    "\\frac{1}",
    "10^",
    "= ",
    ".",
    "\\text{and}",
    "is 1 ",
    "x=1,",
    "|",
    "[1,2)\\cup",
    "and ",
    "a b",
    "1 a ",
    "\\boxed{1} ",
    "for all x ",
    "(1,2),",
    "\\pm",
    "<x",
    "1:",
    "1 cm ",
    "A is ",
    "\\approx 1",
    "\\begin{pmatrix}1&2\\\\",
    "{1}",
    "-{",
    "(x",
    "word ",
    "3 words ",
]


@pytest.mark.parametrize("unit", UNITS)
def test_long_answers_are_compared_in_linear_time(unit: str) -> None:
    """Of the length up to which all layers look at an answer. Words without end once took exponential time."""
    text = unit * (MAX_CHARS // len(unit) - 1)
    started = time.process_time()
    for gold in ("5", text + "1", "x+1", "(1,2]", "a = 5"):
        compare(text, gold)
    assert time.process_time() - started < 2.5  # 0.5 s each on a busy machine


@pytest.mark.parametrize(
    "unit", ["9", "1,234", "{", "\\text{", "$", " ", "a", "-", "1/", "e5", "\\frac{1}", "10^", "= ", "."]
)
def test_long_texts_take_no_longer_than_they_are_long(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    started = time.process_time()
    compare(text, text + "1")
    compare(text, "5")
    compare("1e" + "9" * 100_000, "1/" + "3" * 100_000)
    assert time.process_time() - started < 2  # 0.1 s on a quiet machine; quadratic time would be minutes
