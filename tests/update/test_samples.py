"""The columns that an environment or a reward function of the user's adds to a row of samples.jsonl."""

from __future__ import annotations

from typing import Any

import pytest

from reasonrl.errors import RecipeError, TrainingError
from reasonrl.runs.rejudge import judge_again
from reasonrl.update.samples import LONGEST_REFERENCE, stored_reference, train_samples
from tests.environments.scripted import TOKENIZER
from tests.update.test_pipeline import pipeline, rollouts
from verifiers.math.verifier import MathVerifier


def rows_with(fields: Any) -> list[dict[str, Any]]:
    step = rollouts([1.0, 0.0])
    step.episodes[0].sample_fields = fields
    return train_samples(step, pipeline().prepare(step, step=1), step=1, tokenizer=TOKENIZER, credited=False)


def test_a_column_of_the_users_stands_in_the_row_of_its_episode() -> None:
    rows = rows_with({"tool_calls": 3})
    assert rows[0]["tool_calls"] == 3 and "tool_calls" not in rows[1]
    assert rows[0]["reward"] == 1.0 and rows[0]["response"] == "1.0"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"response": "another"}, "'response', a column of samples.jsonl; rename it"),
        ({"step": 7}, "'step', a column of samples.jsonl; rename it"),
        ({"reward": 1.0}, "'reward', a column of samples.jsonl; rename it"),
        ({5: 6}, "the key 5; a column of samples.jsonl needs a text"),
        (None, "is None; write a dict of columns"),
        ([("a", 1)], "is a value of type list; write a dict of columns"),
    ],
)
def test_a_column_that_would_hide_one_of_the_run_is_refused(fields: Any, words: str) -> None:
    with pytest.raises(TrainingError, match=rf"^Episode\.sample_fields .*{words}"):
        rows_with(fields)


def test_a_long_reference_is_stored_by_its_size() -> None:
    whole = {"tests": "x" * (LONGEST_REFERENCE - len('{"tests": ""}'))}
    assert stored_reference(whole) is whole
    assert stored_reference({"tests": whole["tests"] + "x"}) == {
        "left_out": "50,001 characters of JSON; see the data set"
    }


def test_a_replay_that_would_need_a_long_reference_is_refused() -> None:
    verdict = {"correct": True, "status": "judged", "method": "m"}
    row = {"response": "1", "reference": {"left_out": "50,001 characters"}, "verdicts": {"correctness": verdict}}
    with pytest.raises(RecipeError, match="cannot be judged again from them: leave out verifier"):
        judge_again([row], {"correctness": MathVerifier()}, "mask")
    assert judge_again([row], {}, "mask") == 0
