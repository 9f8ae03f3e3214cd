"""Formats: the named ones, and regular expressions with a deadline."""

from __future__ import annotations

import pickle

import pytest

from verifiers.format import NAMED, FormatVerifier
from verifiers.types import Status, Verifier


def fits(pattern: str, response: str) -> bool | None:
    verdict = FormatVerifier(pattern).verify([response], [{}])[0]
    assert verdict.score == (None if verdict.correct is None else float(verdict.correct))
    return verdict.correct


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (
            "boxed",
            [r"so \boxed{5}", r"\boxed{\frac{1}{2}} it is"],
            ["5", r"\boxed{}", r"\boxed{5", r"<think>\boxed{5}</think>", ""],
        ),
        (
            "answer_tag",
            ["<answer>5</answer>", "hm <answer> x </answer> so"],
            ["5", "<answer></answer>", "<answer>1</answer><answer>2</answer>", "<answer>5"],
        ),
        (
            "think_answer",
            ["<think>a</think><answer>5</answer>", " <think>\na\n</think>\n <answer>5</answer>\n"],
            [
                "<answer>5</answer>",
                "<think></think><answer>5</answer>",
                "<think>a</think> so <answer>5</answer>",
                "<think>a</think><answer>5</answer> bye",
                "<think>a<answer>4</answer></think><answer>5</answer>",
                "<think>a</think><think>b</think><answer>5</answer>",
                "<answer>5</answer><think>a</think>",
            ],
        ),
        ("integer", ["5", " -12\n", "+3", "007"], ["", "5.0", "five", "5 6", "٣", "1_000"]),
    ],
)
def test_named_patterns(pattern: str, good: list[str], bad: list[str]) -> None:
    assert [fits(pattern, response) for response in good] == [True] * len(good)
    assert [fits(pattern, response) for response in bad] == [False] * len(bad)


@pytest.mark.parametrize("pattern", list(NAMED))
@pytest.mark.parametrize(
    "reference", [{}, {"answer": "7"}, {"answer": r"\frac{1}{2}"}, {"answer": "}"}, {"answer": "</answer>"}]
)
def test_the_gold_response_fits(pattern: str, reference: dict) -> None:
    verifier = FormatVerifier(pattern)
    assert isinstance(verifier, Verifier)
    assert verifier.verify([verifier.gold_response(reference)], [reference])[0].score == 1.0
    assert verifier.verify([""], [reference])[0].score == 0.0


def test_a_regular_expression_must_match_the_whole_response() -> None:
    verifier = FormatVerifier(r"Reasoning:.*Answer: \d+", timeout_s=0.5)
    responses = [" Reasoning: a\nb\nAnswer: 12 \n", "Answer: 12", "Reasoning: Answer: 12 and more"]
    assert [verdict.correct for verdict in verifier.verify(responses, [{}] * 3)] == [True, False, False]
    with pytest.raises(ValueError, match="example response"):
        verifier.gold_response({})
    assert pickle.loads(pickle.dumps(verifier)).pattern == verifier.pattern
    verifier.close()


def test_a_regular_expression_that_explodes_is_stopped() -> None:
    verifier = FormatVerifier(r"(a+)+", timeout_s=0.4)
    slow, good = verifier.verify(["a" * 40 + "b", "aaa"], [{}, {}])
    assert (slow.status, slow.correct) == (Status.TIMEOUT, None)
    assert good.correct is True
    verifier.close()


def test_mistakes() -> None:
    with pytest.raises(ValueError, match=r"not a regular expression.*boxed"):
        FormatVerifier("(unclosed")
    with pytest.raises(ValueError, match="1 responses for 2"):
        FormatVerifier("boxed").verify(["a"], [{}, {}])
