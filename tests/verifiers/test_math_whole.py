"""Mode whole: what is read into a response that is a number and goes on."""

from __future__ import annotations

import pytest

from verifiers.math.verifier import MathVerifier


@pytest.mark.parametrize(
    ("response", "correct"),
    [
        (" 19 Smaller than it - ", True),
        (" 32 still can't get on", True),
        (" 21 NC", True),
        (" 43 i.e. y", True),
        (" 36 ThermokiloE,", True),
        (" 18 (to include the negative", True),
        (" 21 (two forming a square", False),
        (" 22, adding left-to", False),
        (" 49; since there is now", False),
        (" 38, which means 2", False),
        (" 20 in the answers, wrench", False),
        (" 19 or nineteen", False),
        (" 19 is not it", False),
        (" 19 plus two", False),
    ],
)
def test_a_number_that_goes_on_in_words(response: str, correct: bool) -> None:
    number = response.split()[0].rstrip(",;")

    (verdict,) = MathVerifier(mode="whole").verify([response], [{"answer": number}])
    (other,) = MathVerifier(mode="whole").verify([response], [{"answer": str(int(number) + 1)}])

    assert verdict.correct is correct
    assert other.correct is False
