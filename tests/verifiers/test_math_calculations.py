"""`policy.calculations: wrong`: a question that is written down again is no answer."""

from __future__ import annotations

import random

import pytest

from verifiers.loading import load_verifier
from verifiers.math.verifier import MathVerifier

STRICT = MathVerifier(mode="whole", policy={"calculations": "wrong"})
LENIENT = MathVerifier(mode="whole")


def judged(answer: str, gold: str, verifier: MathVerifier = STRICT) -> bool | None:
    return verifier.verify([answer], [{"answer": gold}])[0].correct


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("48213*5072", "244536336"),
        ("24 - 9", "15"),
        ("417*36+925", "15937"),
        ("(3 + 4) * 2", "14"),
        ("2^{10}", "1024"),
        ("2**10", "1024"),
        ("3 \\cdot 5", "15"),
        ("3 × 5", "15"),
        ("-3 + 18", "15"),
        ("(10+5)/10", "1.5"),
        ("3(5)", "15"),
        ("$7+8$", "15"),
    ],
)
def test_a_calculation_is_wrong_there_and_right_elsewhere(answer: str, gold: str) -> None:
    verdict = STRICT.verify([answer], [{"answer": gold}])[0]
    assert verdict.correct is False and "policy.calculations" in verdict.reason
    assert judged(answer, gold, LENIENT) is True


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("15", "15"),
        ("-15", "-15"),
        ("1/2", "0.5"),
        ("-3/4", "-0.75"),
        ("\\frac{1}{2}", "0.5"),
        ("1,234", "1234"),
        ("3*10^5", "300000"),
        ("3 \\times 10^{5}", "300000"),
        ("24 - 9 = 15", "15"),
        ("x = 15", "15"),
        ("50%", "50"),
        ("15 apples", "15"),
        ("2x + 1", "2x+1"),
        ("\\sqrt{2}", "\\sqrt{2}"),
    ],
)
def test_numbers_and_results_stay_right(answer: str, gold: str) -> None:
    assert judged(answer, gold) is True
    assert judged(answer, gold, LENIENT) is True


def test_every_question_of_the_arithmetic_that_policies_learn_on() -> None:
    rng = random.Random(4)
    for _ in range(300):
        a, b, c = (rng.randint(1, 99_999) for _ in range(3))
        sums = ((f"{a}+{b}", a + b), (f"{a} - {b}", a - b), (f"{a}*{b}", a * b), (f"{a}*{b}+{c}", a * b + c))
        for text, value in sums:
            assert judged(text, str(value)) is False, text


def test_a_boxed_one_and_a_wrong_option() -> None:
    boxed = load_verifier("math", policy={"calculations": "wrong"})
    assert boxed.verify(["\\boxed{7 + 8}"], [{"answer": "15"}])[0].correct is False
    with pytest.raises(ValueError, match="calculations is 'maybe'; write any or wrong"):
        MathVerifier(policy={"calculations": "maybe"})
