"""Reasoning-gym scores its own answers; the verifier only carries them there and back."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from verifiers.errors import BadReference, MissingPackage
from verifiers.reasoning_gym import ReasoningGymVerifier
from verifiers.types import Status, Verifier

reasoning_gym = pytest.importorskip("reasoning_gym")


def references(dataset: str, size: int = 3) -> list[dict]:
    entries = reasoning_gym.create_dataset(dataset, seed=3, size=size)
    return [json.loads(json.dumps({"dataset": dataset, "entry": entry})) for entry in entries]


@pytest.fixture(scope="module")
def verifier() -> Iterator[ReasoningGymVerifier]:
    made = ReasoningGymVerifier(answer_mode="whole")
    yield made
    made.close()


@pytest.mark.parametrize("dataset", ["chain_sum", "gcd", "basic_arithmetic", "countdown", "word_sorting"])
def test_gold_scores_one_and_nothing_scores_zero(verifier: ReasoningGymVerifier, dataset: str) -> None:
    assert isinstance(verifier, Verifier)
    rows = references(dataset)
    verdicts = verifier.verify([verifier.gold_response(row) for row in rows], rows)
    assert [(verdict.correct, verdict.score) for verdict in verdicts] == [(True, 1.0)] * 3, verdicts
    assert [verdict.status for verdict in verifier.verify([""] * 3, rows)] == [Status.UNPARSED] * 3


def test_a_wrong_answer_keeps_its_score(verifier: ReasoningGymVerifier) -> None:
    row = references("chain_sum", 1)[0]
    verdict = verifier.verify([str(int(row["entry"]["answer"]) + 1)], [row])[0]
    assert verdict.status is Status.JUDGED and verdict.correct is False
    expected = reasoning_gym.get_score_answer_fn("chain_sum")(answer=verdict.extracted, entry=row["entry"])
    assert verdict.score == expected < 1


def test_the_answer_is_found_as_the_mode_says() -> None:
    strict = ReasoningGymVerifier()
    row = references("gcd", 1)[0]
    answer = row["entry"]["answer"]
    verdicts = strict.verify([f"so \\boxed{{{answer}}}", answer, strict.gold_response(row)], [row] * 3)
    assert [verdict.correct for verdict in verdicts] == [True, False, True]
    assert verdicts[1].status is Status.UNPARSED
    strict.close()


def test_bad_references(verifier: ReasoningGymVerifier) -> None:
    good = references("gcd", 1)[0]
    bad = [{}, {"dataset": "gcd"}, {**good, "dataset": "gdc"}, {**good, "entry": {"answer": "1"}}]
    verdicts = verifier.verify(["1"] * 5, [*bad, good])
    assert [verdict.status for verdict in verdicts] == [Status.ERROR] * 4 + [Status.JUDGED]
    assert "did you mean 'gcd'" in verdicts[2].reason
    with pytest.raises(BadReference):
        verifier.gold_response({"dataset": "gcd"})
    with pytest.raises(BadReference, match="no gold"):
        verifier.gold_response({**good, "entry": {**good["entry"], "answer": None}})


def test_without_the_package_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match="pip install reasoning-gym"):
        ReasoningGymVerifier()
