"""What a verdict says besides: it goes through pools, pickles, verl's rows and samples as it is."""

from __future__ import annotations

import dataclasses
import json
import pickle
from typing import Any

import numpy as np
import pytest

from reasonrl.environments.base import Episode, Trajectory
from reasonrl.rewards.scoring import apply_timeout_policy
from reasonrl.runs.row_text import row_text
from reasonrl.update.samples import sample_row
from reasonrl.verl_backend.rows import pack_episode, unpack_episode
from verifiers.pool.pool import Outcome
from verifiers.types import Problem, Status, Verdict

DETAILS = {"isolation": "namespaces", "passed": 1, "total": 2, "per_test": [{"name": "a", "passed": True}]}
PLAIN = Verdict(False, 0.5, Status.JUDGED, "pass", "tests", "1 of 2", 0.1)
DETAILED = dataclasses.replace(PLAIN, details=DETAILS)
PROBLEM = Problem("p", "q", "code", {"format": "function", "tests": ["assert f() == 1"]})


def episode(verdict: Verdict) -> Episode:
    policy = Trajectory("policy", [5], [7], [True], [-0.5], "pass", "stop")
    return Episode(PROBLEM, 0, 9, [policy], {"correctness": verdict}, {"correctness": 0.5})


def test_a_verdict_without_details_is_written_as_before() -> None:
    assert list(PLAIN.to_dict()) == ["correct", "score", "status", "extracted", "method", "reason", "seconds"]


def test_details_are_written_with_the_verdict() -> None:
    assert json.loads(json.dumps(DETAILED.to_dict())) == {**PLAIN.to_dict(), "details": DETAILS}


def test_details_survive_a_pickle_and_the_verdict_can_be_hashed() -> None:
    assert pickle.loads(pickle.dumps(DETAILED)) == DETAILED
    assert hash(DETAILED) == hash(PLAIN) and DETAILED != PLAIN


def test_a_pool_and_the_policy_for_time_outs_pass_details_on() -> None:
    assert Outcome("ok", 1, "", 0.3).verdict(lambda _: DETAILED, method="tests", task="t").details == DETAILS
    late = Verdict(None, None, Status.TIMEOUT, None, "tests", "", 0.1, DETAILS)
    assert apply_timeout_policy(late, "wrong").details == DETAILS


def test_samples_hold_details() -> None:
    row = json.loads(row_text(sample_row(episode(DETAILED), kind="eval", step=1, mode="greedy", prompt="q")))
    assert row["verdicts"]["correctness"]["details"] == DETAILS


@pytest.mark.parametrize(
    ("details", "expected"),
    [({}, {}), (DETAILS, DETAILS), ({"passed": np.int64(1), "names": {"a"}}, {"passed": 1, "names": ["a"]})],
)
def test_a_row_of_verl_carries_details(details: dict[str, Any], expected: dict[str, Any]) -> None:
    sent = episode(dataclasses.replace(PLAIN, details=details))
    fields: dict[str, list[Any]] = {"prompts": [5], "responses": [7], "response_mask": [1], "rollout_log_probs": [-0.5]}
    back = unpack_episode(pack_episode(sent, 0.5), PROBLEM, fields)
    assert back.verdicts == {"correctness": dataclasses.replace(PLAIN, details=expected)}


@pytest.mark.parametrize("details", [None, [("passed", 1)], "passed"])
def test_details_that_are_not_a_mapping_are_refused(details: Any) -> None:
    with pytest.raises(ValueError, match="the details of a verdict must be a dict, not"):
        Verdict(True, 1.0, Status.JUDGED, None, "m", "", 0.0, details)
