"""Each layer on pairs of our own: which one decides, and how; and the policies, one by one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifiers.math.compare import compare, explain
from verifiers.math.policy import MathPolicy

EQUAL = [
    # answer, reference, method
    (r"\text{Even}", "even", "text"),
    ("x^{2}", "x^2", "text"),
    (r"a \leqslant 2", r"a \leq 2", "text"),
    ("0.50", "1/2", "rational"),
    ("7,425,000", "7425000", "decimal"),
    (r"11,\! 111,\! 100", "11111100", "text"),
    ("1.5", r"1\frac12", "rational"),
    ("62.5%", r"\frac58", "rational"),
    ("28 percent", r"28\%", "rational"),
    ("$10$ dollars", "10", "rational"),
    (r"10 \text{ cm}", "10", "text"),
    ("30 feet per second", "30", "rational"),
    ("85.71", r"\frac{600}{7}", "rounding"),
    ("125.663", r"40\pi", "rounding"),
    ("3.14159", "3.1416", "rounding"),
    ("(C)", r"\text{C}", "text"),
    ("Petya", "Petya will receive the last token.", "words"),
    ("The largest $n$ is 34", "34", "text"),
    ("Jane started 3 hours ago", "3", "number in a sentence"),
    (r"\begin{pmatrix} 0.2 \\ -3.6 \end{pmatrix}", r"\begin{pmatrix} 1/5 \\ -18/5 \end{pmatrix}", "matrix"),
    ("k < -5", r"(-\infty,-5)", "real set"),
    (r"3 < \lambda \leq 4", "(3,4]", "real set"),
    (r"\{x | -1 < x < 1\}", "(-1, 1)", "real set"),
    (r"(-\infty, -6) \cup (-6, \frac{3}{2})", r"\{x | x < \frac{3}{2}\} - \{-6\}", "real set"),
    (r"z \in [-3, -1] \cup [1, 3]", r"1\leq|z|\leq 3", "real set"),
    (r"x \in [2, \infty)", r"x \ge 2", "real set"),
    ("2, 1", "1, 2", "list"),
    (r"\{-2, 1+\sqrt{5}, 1-\sqrt{5}\}", r"1\pm\sqrt{5},-2", "list"),
    (r"5 \text{ and } 15", "5,15", "text"),
    (r"7 \text{ goats and } 4 \text{ toys}", "7,4", "text"),
    (r"\boxed{5} \text{ and } \boxed{15}", "15, 5", "list"),
    ("(1, 4.5)", r"(1,\frac{9}{2})", "tuple"),
    ("(3, 1), (1, 3)", "(1, 3), (3, 1)", "list"),
    ("x = 1, y = 2", "(1, 2)", "labels in order"),
    ("(x, y) = (1, 2)", "1, 2", "labels in order"),
    ("b, a, c", "b < a < c", "ascending order"),
    ("x = 5", "5", "decimal"),
    ("y = x^2 + 1", "f(x) = 1 + x^2", "probing"),
    ("f(t) = 2t", "f(x) = 2x", "same expression"),
    ("2x + 2y = 2", "x + y = 1", "proportional equations"),
    (r"\log_2(8) = 3", "3", "text"),
    ("x = 5 + 6 = 11", "11", "text"),
    (r"\frac{\sqrt{3}}{3}", r"\frac{\sqrt{3}}{3} \approx 0.577", "text"),
    (r"n\pi", r"x = k\pi", "renamed parameter"),
    (r"1 \text{ for all } x > 0", "f(x) = 1", "decimal"),
    ("4210_7", "4210_{7}", "text"),
    ("4210", "4210_7", "base"),
    ("08:34 P.M.", "20:34", "time of day"),
    ("120^\\circ", r"\frac{2\pi}{3}", "probing"),
    ("45", "45^\\circ", "rational"),
    ("three", "3", "words"),
    ("(C) 12 dollars", "C", "choice"),
    ("10 centimeters", r"10 \text{ cm}", "quantity"),
    ("x^2 + c", "x^2 + C", "renamed parameter"),
    (r"\frac{1}{3} \approx 0.33", r"\frac13", "text"),
    ("5:8", r"\frac58", "rational"),
    ("14:16:4", "7:8:2", "ratio"),
    (r"10\sqrt{3} + 2", r"\sqrt{300} + \sqrt{4}", "probing"),
    (r"5 \geq x", r"x \leq 5", "real set"),
]
UNEQUAL = [
    ("12", "1 2"),
    ("1 1/2", "11/2"),
    ("0.33", r"\frac13"),
    ("3.15", "3.14159"),
    ("5", "5.001"),
    ("odd", "even"),
    ("solution", "no solution exists for this"),
    ("B", "A"),
    ("0.64", "0.64N"),
    ("10 cm", r"10 \text{ m}^2 x"),
    (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 & 2 \end{pmatrix}"),
    ("[1, 2)", "(1, 2]"),
    ("k > -5", r"(-\infty,-5)"),
    ("(2, 1)", "(1, 2)"),
    ("2, 1", "(1, 2)"),
    (r"\{2, 1\}", "(1, 2)"),
    ("1, 2", "1, 2, 3"),
    ("1, 2, 3", "1, 2"),
    ("7", r"(-\infty, \infty)"),
    ("y = 5", "x = 5"),
    (r"\cos(x) = 0.5", r"\sin(x) = 0.5"),
    ("1", "2x + z = 1"),
    ("11a+c", "7 = 11a+c"),
    (r"2n\pi", r"k\pi"),
    ("2x", "2y"),
    ("2k+1", "2n+1"),
    (r"1 \approx 2 \approx 3", "2"),
    ("10 m", "10 cm"),
    (r"10 \text{ m}", r"10 \text{ cm}"),
    (r"10 \text{ cm}^3", r"10 \text{ cm}^2"),
    ("(B) 12", "C"),
    ("four", "3"),
    ("1:00", "12:00"),
    ("4211_7", "4210_7"),
    (r"1 - \frac1e", r"1 + \frac1e"),
    ("1,234", "1,235"),
    ("$$$$", "1"),
    ("{" * 1000, "1"),
]


@pytest.mark.parametrize(("answer", "gold", "method"), EQUAL)
def test_equal(answer: str, gold: str, method: str) -> None:
    made = compare(answer, gold)
    assert made is not None and made.equal, explain(answer, gold)
    assert made.method == method


@pytest.mark.parametrize(("answer", "gold"), UNEQUAL)
def test_unequal(answer: str, gold: str) -> None:
    made = compare(answer, gold)
    assert made is not None and not made.equal, explain(answer, gold)


@pytest.mark.parametrize(("one", "other"), [(a, g) for a, g, _ in EQUAL] + UNEQUAL)
def test_symmetry(one: str, other: str) -> None:
    assert_same_both_ways(one, other)


@pytest.mark.parametrize(
    ("policy", "answer", "gold", "equal"),
    [
        ({"percent": "either"}, "50%", "0.5", True),
        ({"percent": "either"}, "50%", "50", True),
        ({"percent": "fraction"}, "50%", "50", False),
        ({"percent": "number"}, "50%", "0.5", False),
        ({"percent": "number"}, "50%", "50", True),
        ({"rounding_digits": None}, "85.71", r"\frac{600}{7}", False),
        ({"rounding_digits": 5}, "85.71", r"\frac{600}{7}", False),
        ({"rounding_digits": 4}, "85.71", r"\frac{600}{7}", True),
        ({"missing_units": False}, "10", "10 cm", False),
        ({"assignments": False}, "2x+1", "f(x) = 2x+1", False),
        ({"rename_parameters": False}, r"n\pi", r"k\pi", False),
        ({"quoted_words": False}, "Petya", "Petya will receive the last token.", False),
        ({"sentences": False}, "Jane started 3 hours ago", "3", False),
        ({"sentences": False}, "D, it cannot be A", "D", False),
        ({"sentences": True}, "D, it cannot be A", "D", True),
        ({"worked_out": False}, r"\log_2(8) = 3", "3", False),
        ({"missing_base": False}, "4210", "4210_7", False),
        ({"list_order": "same"}, "2, 1", "1, 2", False),
        ({"list_order": "same"}, "1, 2", "1, 2", True),
    ],
)
def test_policies(policy: dict, answer: str, gold: str, equal: bool) -> None:
    made = compare(answer, gold, MathPolicy(**policy))
    assert made is not None and made.equal is equal, made


@pytest.mark.parametrize("bad", [{"percent": "maybe"}, {"list_order": "sorted"}, {"rounding_digits": 0}])
def test_a_policy_that_makes_no_sense(bad: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        MathPolicy(**bad)


def test_every_layer_is_named_until_one_decides() -> None:
    said = explain(r"\sqrt{8}", r"2\sqrt{2}")
    assert [name for name, _ in said][:3] == ["compound", "same text", "number"]
    assert said[-1][0] == "expression" and said[-1][1] is not None and said[-1][1].equal


PIECES = [
    r"\frac{1}{2}",
    r"\sqrt{2}",
    "x",
    "3",
    "(1, 2)",
    r"\pi",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ",",
    "=",
    "<",
    "^",
    "_",
    r"\text{ cm}",
    "%",
    "$",
    r"\cup",
    r"\pm",
    "and",
    " ",
    r"\\",
    "&",
    r"\begin{pmatrix}",
    r"\end{pmatrix}",
    "|",
    ":",
    ".",
    "-",
    r"\infty",
    r"\boxed{",
    "!",
    "₂",
    "²",
    "½",
    "٣",
    "①",
    "Ⅷ",
    "𝟙",
    "５",
    "√",
    "π",
]


ALL_TEXTS = sorted(
    {text for answer, gold, _ in EQUAL for text in (answer, gold)} | {text for pair in UNEQUAL[:-2] for text in pair}
)
BOTH_WAYS = MathPolicy().both_ways()


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A real answer with pieces put in, taken out, doubled or swapped; or pieces alone."""
    text = draw(st.sampled_from(ALL_TEXTS)) if draw(st.integers(0, 4)) else ""
    for _ in range(draw(st.integers(0, 4))):
        at, upto = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        kind = draw(st.sampled_from(["insert", "delete", "double", "replace"]))
        piece = draw(st.sampled_from(PIECES))
        text = {
            "insert": text[:at] + piece + text[at:],
            "delete": text[:at] + text[min(upto, at + 3) :],
            "double": text[:upto] + text[at:upto] + text[upto:],
            "replace": text[:at] + piece + text[min(upto, at + 3) :],
        }[kind]
    return text


@settings(max_examples=2000, deadline=None)
@given(mutated(), mutated())
def test_mutations_of_latex(one: str, other: str) -> None:
    """No exception; an answer is itself; and the two directions agree, but for what is read into an answer alone."""
    for text in (one, other):
        same = compare(text, text)
        assert same is not None and same.equal, text
    assert_same_both_ways(one, other)


def assert_same_both_ways(one: str, other: str) -> None:
    forth, back = compare(one, other, BOTH_WAYS), compare(other, one, BOTH_WAYS)
    assert (forth and forth.equal) == (back and back.equal), (one, other, forth, back)
    forth, back = compare(one, other), compare(other, one)
    if (forth and forth.equal) != (back and back.equal):  # by one of the four fields that both_ways() leaves out
        made = compare(one, other, BOTH_WAYS)
        assert made is None or not made.equal, (one, other, forth, back)


@settings(max_examples=2000, deadline=None)
@given(st.sampled_from(ALL_TEXTS), st.data())
def test_near_misses_agree_in_both_directions(one: str, data: st.DataObject) -> None:
    """A text and a mutation of itself: the pairs that are equal, or just not."""
    at = data.draw(st.integers(0, len(one)))
    piece = data.draw(st.sampled_from(PIECES))
    other = one[:at] + piece + one[min(len(one), at + data.draw(st.integers(0, 3))) :]
    assert_same_both_ways(one, other)
