"""What is decided before algebra is asked, and the cheap ways that give what the long ones would."""

from __future__ import annotations

import pytest

from verifiers.math.compare import compare
from verifiers.math.extract import extract
from verifiers.math.layers.preparation import forms, prepared, worded
from verifiers.math.normalise import canonical_decimal, rational
from verifiers.response import boxes


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("a < b < c < d", "b < a < d < c"),
        ("a > b > c", "a < b < c"),
        (r"\tan\frac{7\pi}{5} > \cos\frac{6\pi}{5} > \sin\frac{2\pi}{5}", r"\tan 1.4\pi > \sin 0.4\pi > \cos 1.2\pi"),
        (r"\frac{a_0 + a_1 + \cdots + a_k}{p}", r"\frac{a_0 + a_1 + \ldots + a_k}{p-1}"),
        (r"\forall x > 0, 3^x \geq x", r"\forall x > 0, 3^x \geq x^2"),
        (r"\exists x > 0, x^2 = 2", r"\exists x > 0, x^2 = 3"),
        (r"(-\infty, -5) \cupdot (5, \infty)", r"(-\infty, -3) \cup (3, \infty)"),
    ],
)
def test_what_algebra_cannot_read_is_unequal_without_asking_it(answer: str, gold: str) -> None:
    comparison = compare(answer, gold)
    assert comparison is not None and not comparison.equal


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("c > b > a", "a < b < c"),
        (r"\forall x > 0, 3^x \ge x", r"\forall x>0, 3^x \geq x"),
        (r"(-\infty, -5) \cupdot (5, \infty)", r"(-\infty, -5) \cup (5, \infty)"),
        (r"(-\infty, -5) \sqcup (5, \infty)", r"x < -5 \text{ or } x > 5"),
        (r"1 + 2 + \cdots + n", r"1 + 2 + \cdots + n"),
    ],
)
def test_the_same_said_alike_stays_equal(answer: str, gold: str) -> None:
    comparison = compare(answer, gold)
    assert comparison is not None and comparison.equal


@pytest.mark.parametrize(
    "gold", [r"\lim_{n \to \infty} \sqrt[n]{2}", r"\lim\limits_{n\rightarrow\infty} \frac{n}{n+1}"]
)
def test_the_arrow_of_a_limit_in_a_reference_strikes_nothing_out(gold: str) -> None:
    assert compare("1", gold) is None
    struck = compare(r"1 \to 2", "2")
    assert struck is not None and not struck.equal


def test_inequalities_that_scale_a_letter_are_left_to_algebra() -> None:
    assert compare("2x < 10", "x < 5") is None


@pytest.mark.parametrize("text", ["0", "42", "-7", "3.50", "007", "-0.0", "9" * 400])
def test_a_plain_number_is_both_of_its_forms(text: str) -> None:
    assert forms(text) == (text, text)
    assert forms(f" {text}") == forms(f"${text}$") == (text, text)


@pytest.mark.parametrize(
    ("text", "bare", "words"),
    [
        (r"\boxed{5} cm", "5 cm", "5 cm"),
        (r"$5\text{ cm}$", "5", "5 cm"),
        (r"12^{\text{th}} in total", "12", "12"),
        (r"\(84\), which is the total", "84", "84"),
        ("**58**", "58", "58"),
        ("exactly 84 (since 80 + 4 = 84).", "84", "84"),
        (r"1{,}000", "1000", "1000"),
        (r"1,\!000,\!000", "1000000", "1000000"),
        ("\u2460\u2462", "1, 3", None),
        (r"\\frac{1}{2}", r"\frac{1}{2}", "1/2"),
        ("$7$ goats and $4$ toys", "7 goats and 4 toys", "7 goats and 4 toys"),
    ],
)
def test_both_forms_of_an_answer(text: str, bare: str, words: str | None) -> None:
    assert prepared(text) == bare
    assert words is None or worded(text) == words
    assert forms(text) == (prepared(text), worded(text))


def test_what_is_remembered_of_a_text_does_not_change_it() -> None:
    texts = [f"{n} apples, {n}\\text{{ cm}}" for n in range(600)]
    first = [forms(text) for text in texts]
    assert [forms(text) for text in reversed(texts)] == first[::-1]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1e3", "1000"), ("2E-1", "0.2"), (r"1.5 \times 10^{2}", "150"), ("1/2", "0.5"), (r"-\frac{3}{4}", "-0.75")),
        *((r"\frac12", "0.5"), ("+ 5", "5"), ("5.", "5"), (".5", "0.5"), ("1,234", "1234"), ("1 234.5", "1234.5")),
    ],
)
def test_numbers_of_every_kind_are_read(text: str, value: str) -> None:
    assert rational(text) == rational(value) is not None


@pytest.mark.parametrize("text", ["", "-", ".", "x", "e", "1/0", "1/x", "2x", "5 cm", "(3)", "1..2", "\u0661"])
def test_what_is_no_number_has_no_value(text: str) -> None:
    assert rational(text) is None and canonical_decimal(text) is None


@pytest.mark.parametrize(
    ("text", "contents"),
    [
        (r"{{ and \{ stay open: \boxed{\frac{1}{2}} }", [r"\frac{1}{2}"]),
        (r"}} close nothing: \boxed{3} and \fbox{4}", ["3", "4"]),
        (r"\\{ \\\boxed{a\}b}", [r"a\}b"]),
    ],
)
def test_braces_before_the_first_box_do_not_matter(text: str, contents: list[str]) -> None:
    assert boxes(text) == (contents, False)


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("There are 12 boys." + " Then some prose follows." * 20, "12"),
        ("1\n2 3/4" + " and words" * 40, "2 3/4"),
        ("so 7 of 12" + ", again and again" * 20 + ", but 3x and 5y", "12"),
        ("it is 1,234.5%" + " of it all" * 30, "1,234.5%"),
    ],
)
def test_the_last_number_may_stand_far_before_the_end(response: str, answer: str) -> None:
    assert extract(response, "lenient").answer == answer
