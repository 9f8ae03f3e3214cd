"""References without a right response, such as tests without a solution: read, checked with an empty response only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from reasonrl.data import DataReport, check_problems
from reasonrl.data.checks import without_gold
from reasonrl.errors import DataError
from reasonrl.plan.checks import shown_target
from reasonrl.recipe.reading import parse_recipe
from reasonrl.setup.data import RunData
from reasonrl.stages import stage_kind
from verifiers.errors import NoGoldResponse
from verifiers.math.verifier import MathVerifier
from verifiers.types import Problem, Status, Verdict


class Tested:
    """Accepts what its tests hold; "broken" tests cannot be read."""

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        pairs = zip(responses, references, strict=True)
        return [self.one(response in reference["tests"]) for response, reference in pairs]

    def one(self, right: bool) -> Verdict:
        return Verdict(right, float(right), Status.JUDGED, None, "tests", "run", 0.0)

    def gold_response(self, reference: dict[str, Any]) -> str:
        if reference["tests"] == ["broken"]:
            raise ValueError("tests[0] is not Python")
        if "solution" not in reference:
            raise NoGoldResponse("no solution")
        return str(reference["solution"])


def problems(*references: dict[str, Any]) -> list[Problem]:
    return [Problem(f"p{n}", f"q{n}", "code", reference) for n, reference in enumerate(references)]


def report() -> DataReport:
    return check_problems(problems({"tests": ["a"], "solution": "a"}, {"tests": ["b"]}), Tested())


def test_a_reference_without_a_right_response_is_no_mistake() -> None:
    assert report().ok and report().without_gold == ["p1"]
    assert str(report()) == (
        "gold answers that score 1: 1 of 1; empty answers that score 0: 2 of 2; without a gold answer: 1"
        " (their references can be read)"
    )


def test_it_is_read_and_an_empty_response_must_still_fail() -> None:
    bad = check_problems(problems({"tests": ["broken"]}, {"tests": [""]}, {"tests": ["c"], "solution": "d"}), Tested())
    assert [(row.id, row.reason) for row in bad.offending] == [
        ("p0", "the reference cannot be read: tests[0] is not Python"),
        ("p1", "an empty answer scores 1: run"),
        ("p2", "the gold answer 'd' scores 0: run"),
    ]


def test_references_of_another_verifier_are_said_to_be_that() -> None:
    verifier = MathVerifier()
    report = check_problems(problems({"tests": ["assert f() == 1"]}), verifier)
    assert str(report).splitlines()[-1] == "  these are problems of kind code: write verifier: {name: code}"
    mathematical = check_problems([Problem("p", "q", "math", {"answer": ""})], verifier)
    assert not mathematical.ok and not mathematical.hint
    assert not check_problems(problems({"tests": ["broken"]}), Tested()).hint, "a verifier of the user's own"


def test_all_sources_of_a_set_are_looked_through() -> None:
    reports = {"train.0": report(), "train.1": report(), "training": report(), "test": report()}
    assert without_gold(reports, "train") == ["p1", "p1"]


def test_a_plan_shows_that_there_is_no_target() -> None:
    recipe = parse_recipe("name: x\nmodel: {path: tiny-arithmetic}\ndata: {train: {source: a.jsonl}}\n", "t").stages[0]
    assert shown_target(stage_kind("rl"), recipe, Tested(), problems({"tests": ["a"]})[0]) == ""


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        ("sft", "train", r"data\.train: problem p1 has no right response in its reference, which"),
        ("offline", "replay", r"data\.replay: problem p1 has no right response in its reference, so it needs a"),
    ],
)
def test_a_stage_that_learns_gold_responses_refuses_problems_without_one(kind: str, data: str, message: str) -> None:
    text = f"name: x\nkind: {kind}\nmodel: {{path: tiny-arithmetic}}\ndata: {{train: {{source: a.jsonl}}}}\n"
    recipe = parse_recipe(text, "t").stages[0]
    checked = problems({"tests": ["a"], "solution": "a"}, {"tests": ["b"]})
    run_data = RunData(checked, {}, {data: report()}, checked)
    with pytest.raises(DataError, match=message):
        stage_kind(kind).check(recipe, run_data)
