"""The self-check of a data set, and the search for test prompts in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from reasonrl.data import check_problems, shared_prompts
from reasonrl.data.arithmetic import arithmetic
from reasonrl.errors import DataError
from verifiers.types import Problem, Status, Verdict


class Exact:
    """A verifier that compares texts; some references make it misbehave."""

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        return [
            self.one(response, reference["answer"]) for response, reference in zip(responses, references, strict=True)
        ]

    def one(self, response: str, answer: str) -> Verdict:
        if answer == "breaks":
            return Verdict(None, None, Status.ERROR, None, "exact", "it broke", 0.0)
        if answer == "slow" and response:
            return Verdict(None, None, Status.TIMEOUT, None, "exact", "too slow", 0.0)
        right = answer == "anything" or (response == answer and answer != "never")
        return Verdict(right, float(right), Status.JUDGED, response, "exact", "compared", 0.0)

    def gold_response(self, reference: dict[str, Any]) -> str:
        if reference["answer"] == "unreadable":
            raise ValueError("no such answer")
        return reference["answer"]


def problems(*answers: str) -> list[Problem]:
    return [Problem(f"p{n}", f"q{n}", "math", {"answer": answer}) for n, answer in enumerate(answers)]


def test_a_sound_set() -> None:
    report = check_problems(arithmetic(size=50), Exact())
    assert report.ok and (report.problems, report.gold_accepted, report.empty_rejected) == (50, 50, 50)
    assert str(report) == "gold answers that score 1: 50 of 50; empty answers that score 0: 50 of 50"
    report.raise_if_bad()


def test_each_way_to_be_bad() -> None:
    report = check_problems(problems("1", "never", "unreadable", "anything", "slow", "breaks"), Exact())
    assert not report.ok and (report.problems, report.gold_accepted, report.empty_rejected) == (6, 2, 3)
    assert [(row.row, row.id, row.reason) for row in report.offending] == [
        (2, "p1", "the gold answer 'never' scores 0: compared"),
        (3, "p2", "the reference cannot be read: no such answer"),
        (4, "p3", "an empty answer scores 1: compared"),
        (5, "p4", "the gold answer could not be judged (timeout): too slow"),
        (6, "p5", "the gold answer could not be judged (error): it broke"),
        (6, "p5", "an empty answer could not be judged (error): it broke"),
    ]
    with pytest.raises(DataError, match=r"6 checks failed(.|\n)*row 2 \(p1\)"):
        report.raise_if_bad()
    many = str(check_problems(problems(*["never"] * 15), Exact()))
    assert many.count("scores 0: compared") == 10 and "... and 5 more" in many


def test_a_verifier_that_loses_answers() -> None:
    class Short(Exact):
        def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
            return super().verify(responses, references)[1:]

    with pytest.raises(DataError, match=r"Short\.verify gave 1 verdicts for 2 responses"):
        check_problems(problems("1", "2"), Short())


def test_shared_prompts() -> None:
    train = [Problem("a", "1 +  1\n", "math", {"answer": "2"}), Problem("b", "1 + 2", "math", {"answer": "3"})]
    test = [
        Problem("x", " 1 + 1", "math", {"answer": "2"}),
        Problem("y", [{"role": "user", "content": "1 + 2"}], "math", {"answer": "3"}),
        Problem("z", "2 + 1", "math", {"answer": "3"}),
    ]
    assert shared_prompts(train, test) == ["x", "y"]
    assert shared_prompts(arithmetic(size=2000), arithmetic(size=500, seed=1, split="test")) == []


def test_system_messages_and_other_spellings_of_a_letter_do_not_hide_a_shared_prompt() -> None:
    train = [Problem("a", [{"role": "system", "content": "s"}, {"role": "user", "content": "Caf\u00e9?"}], "math", {})]
    assert shared_prompts(train, [Problem("x", "Cafe\u0301?", "math", {"answer": "2"})]) == ["x"]


def test_a_prompt_with_two_answers_is_named() -> None:
    twice = [Problem(f"p{n}", f"q {n // 2}", "math", {"answer": answer}) for n, answer in enumerate("1123")]
    report = check_problems(twice, Exact())
    assert report.ok and report.contradicting == ["p3"]
    assert str(report).endswith("WARNING: 1 repeat an earlier prompt with another answer (first: p3)")
