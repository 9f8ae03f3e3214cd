"""Reading expressions, and telling equal ones from unequal ones by exact arithmetic and random points."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifiers.math.exact import TooLarge, Undefined, Unfit, exact
from verifiers.math.expression import Unreadable, read_expression
from verifiers.math.numeric import same_equation, same_value
from verifiers.math.tree import Node, number


def equal(one: str, other: str) -> bool | None:
    return same_value(read_expression(one), read_expression(other)).equal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2+3*4", 14),
        ("-2^2", -4),
        ("(-2)^2", 4),
        ("2^3^2", 512),
        ("2^{-1}", Fraction(1, 2)),
        ("x", None),
        (r"\frac12", Fraction(1, 2)),
        (r"\frac{1}{2}3", Fraction(3, 2)),
        (r"1\frac12", Fraction(3, 2)),
        ("1 1/2", Fraction(3, 2)),
        ("11/2", Fraction(11, 2)),
        ("1/2/2", Fraction(1, 4)),
        ("2(3)(4)", 24),
        ("5!", 120),
        (r"\binom{5}{2}", 10),
        ("|-3|", 3),
        (r"2|-3|+1", 7),
        (r"\lfloor 2.7 \rfloor + \lceil 2.1 \rceil", 5),
        (r"\sqrt{16}", 4),
        (r"\sqrt[3]{27}", 3),
        ("sqrt(9)", 3),
        ("27^{1/3}", 3),
        ("1.5e3", 1500),
        ("50%", Fraction(1, 2)),
        ("--3", 3),
        ("2 - -3", 5),
        (r"2 \cdot -3", -6),
        ("gcd(12, 18)", 6),
        (r"\max(1, 7, 3)", 7),
        (r"\left(2\right)", None),
    ],
)
def test_exact_values(text: str, value: object) -> None:
    if value is None:
        with pytest.raises((Unfit, Unreadable)):
            exact(read_expression(text))
    else:
        assert exact(read_expression(text)) == value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2xy", "y*x*2"),
        ("xy", "yx"),
        (r"\sin 2x", r"2\sin x\cos x"),
        (r"\sin^2 x + \cos^2 x", "1"),
        (r"\sin^{-1} x", r"\arcsin x"),
        (r"2\arcsin\sqrt{a}", r"\arccos(1-2a)"),
        (r"\tan^2(y)+1", r"\sec^2(y)"),
        (r"\log_2 8", "3"),
        (r"\frac{\ln 8}{\ln 2}", "3"),
        (r"\sqrt{2}+\sqrt{3}", r"\sqrt{5+2\sqrt{6}}"),
        (r"e^{i\pi}", "-1"),
        (r"30^\circ", r"\frac{\pi}{6}"),
        (r"\sin 30^\circ", "0.5"),
        ("(x+y)^{200}", "(y+x)^{200}"),
        ("x_1 + x_{2}", "x_2 + x_1"),
        ("|x-1|", "|1-x|"),
        ("f(x+1) - 1", "-1 + f(1+x)"),
        ("n!", "n!"),
        ("(n+1)!", "(n+1)n!"),
        (r"\sqrt[3]{-8}", "-2"),
        (r"3^{700000000}\cdot 3", "3^{700000001}"),
        (r"\frac{x^2-1}{x-1}", "x+1"),
    ],
)
def test_equal_expressions(one: str, other: str) -> None:
    assert equal(one, other) is True
    assert equal(other, one) is True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2xy", "2x+y"),
        (r"\sin 2x", r"2\sin x"),
        ("x", "X"),
        ("x_1", "x_2"),
        ("x", "x+10^{-20}"),
        (r"e^{\pi\sqrt{163}}", "262537412640768744"),
        ("f(x)+f(y)", "f(x+y)"),
        ("f(x)", "g(x)"),
        (r"\sqrt{x^2}", "x"),
        (r"\frac{1}{0}", "1"),
        ("9^{9^{9^9}}", "1"),
        ("1000000000!", "1"),
        ("3^{700000000}", "2^{1000000000}"),
        (r"\log_2 x", r"\log_3 x"),
    ],
)
def test_unequal_expressions(one: str, other: str) -> None:
    assert equal(one, other) is False
    assert equal(other, one) is False


@pytest.mark.parametrize("one", ["9^{9^{9^9}}+x", r"(10^{10^{10}})!", r"\infty"])
def test_what_cannot_be_decided_is_left_open(one: str) -> None:
    assert equal(one, one + "+1") is not True


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1+",
        "(1",
        "1)",
        "hello",
        r"\int x",
        r"\foo",
        "a b c d e hello",
        "{" * 41 + "1" + "}" * 41,
        "1" * 13_000,
        "x = 5",
        "1, 2",
        "a < b",
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        read_expression(text)


@pytest.mark.parametrize(
    "unit", ["1/", "2!", "!", "^2", "x", "\\sin ", "\\sqrt", "-", "2^", "(", "|", "\\frac", "f(", "1:", "%", "x_", "'"]
)
def test_chains_without_end_are_refused_or_compared(unit: str) -> None:
    for count in (50, 500, 5000):
        for text in (unit * count, unit * count + "1", "2" + unit * count + "3" + ")" * count):
            try:
                node = read_expression(text)
            except Unreadable:
                continue
            assert same_value(node, node).equal is True
            assert same_value(node, Node("+", (node, number(1)))).equal is not True


def test_proportional_equations() -> None:
    def left(text: str) -> Node:
        return read_expression(text)

    assert same_equation(left("x^2/4+y^2/3-1"), left("x^2/16+y^2/12-1/4")).equal is True
    assert same_equation(left("x+y-1"), left("x+2y-1")).equal is False
    assert same_equation(left("x-x"), left("x")).equal is False


numbers = st.fractions(min_value=-50, max_value=50, max_denominator=20)
leaves = numbers.map(lambda f: f"({f.numerator}/{f.denominator})") | st.sampled_from(
    ["x", "y", r"\pi", r"\sqrt{2}", "3"]
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(lambda t: f"({t[0]}){t[1]}({t[2]})"),
        inner.map(lambda t: rf"\frac{{{t}}}{{7}}"),
        inner.map(lambda t: f"({t})^2"),
        inner.map(lambda t: rf"\sin({t})"),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(trees, trees)
def test_algebra_that_changes_nothing(one: str, other: str) -> None:
    assert equal(one, one) is True
    assert equal(f"({one})+({other})", f"({other})+({one})") is not False
    assert equal(f"({one})*(({other})+1)", f"({one})*({other})+({one})") is not False
    assert equal(f"({one})+1", one) is not True
    assert equal(one, other) == equal(other, one)


@given(st.fractions(), st.fractions())
def test_rational_numbers_are_compared_exactly(one: Fraction, other: Fraction) -> None:
    texts = [f"{f.numerator}/{f.denominator}" for f in (one, other)]
    assert equal(*texts) is (one == other)


@settings(deadline=None)
@given(st.text(alphabet="0123456789xy+-*/^(){}\\ frac!|.,%sqrt", max_size=60))
def test_reading_and_evaluating_break_on_nothing(text: str) -> None:
    try:
        node = read_expression(text)
    except Unreadable:
        return
    started = time.perf_counter()
    same_value(node, Node("+", (node, Node("number", (), Fraction(1)))))
    try:
        exact(node)
    except (Unfit, Undefined, TooLarge):
        pass
    assert time.perf_counter() - started < 1.0
