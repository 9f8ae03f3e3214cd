"""What a reward function or a verifier changes is a copy: gold answers, tokens and verdicts stay as they were."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from reasonrl.environments.base import Episode, Trajectory
from reasonrl.rewards.base import RewardPart
from reasonrl.rewards.copies import detached_episode
from reasonrl.rewards.guarded import GuardedVerifier
from reasonrl.rewards.scoring import score_episodes
from reasonrl.user_code.guards import detached
from verifiers.types import Problem, Status, Verdict

MESSAGES = [{"role": "user", "content": "1 + 2"}]


def episodes() -> list[Episode]:
    """Two rollouts of one problem."""
    problem = Problem("p", copy.deepcopy(MESSAGES), "math", {"answer": "3", "tests": [[1, 2]]}, "", {"a": {"b": 1}})  # type: ignore[arg-type]
    return [
        Episode(problem, i, 0, [Trajectory("policy", [1], [2, 3], [True, True], [0.0, 0.0], "x", "stop")])
        for i in range(2)
    ]


def spoil(problem: Problem) -> str:
    """Takes the answer out of the reference, as a careless function does, and changes all else."""
    answer = problem.reference.pop("answer")
    problem.reference["tests"][0].append(9)
    problem.meta["a"]["b"] = 2
    problem.prompt[0]["content"] = "spoilt"  # type: ignore[index]
    return str(answer)


def unspoilt(played: Sequence[Episode]) -> bool:
    return played == episodes()


def test_a_function_that_changes_problems_and_responses_gets_copies_for_each_rollout() -> None:
    def mine(responses: Sequence[str], problems: Sequence[Problem]) -> list[float]:
        rewards = [float(spoil(problem)) for problem in problems]  # the second rollout still has its answer
        assert isinstance(responses, list)
        responses.clear()
        return rewards

    seen: list[Any] = []

    def later(responses: Sequence[str], problems: Sequence[Problem]) -> list[float]:
        seen.extend(responses)
        return [float(problem.reference["answer"]) for problem in problems]

    played = episodes()
    score_episodes(played, [RewardPart("mine", 1.0, function=mine), RewardPart("later", 1.0, function=later)])
    assert [episode.reward_parts for episode in played] == [{"mine": 3.0, "later": 3.0}] * 2
    assert seen == ["x", "x"]
    for episode in played:
        episode.reward_parts.clear()
    assert unspoilt(played)


def test_a_copied_episode_shares_nothing_but_what_is_the_users_to_write() -> None:
    played = episodes()
    played[0].verdicts["correctness"] = Verdict(True, 1.0, Status.JUDGED, None, "m", "", 0.0)
    before = copy.deepcopy(played)
    for episode in played:
        shown = detached_episode(episode)
        assert shown == episode
        spoil(shown.problem)
        shown.verdicts.clear()
        shown.reward_parts["mine"] = 1.0
        shown.trained_trajectory.response_ids.clear()
        shown.trained_trajectory.loss_mask[0] = False
        shown.trajectories.clear()
    assert played == before
    detached_episode(played[0]).info["note"] = 1
    assert played[0].info == {"note": 1}


def test_a_verifier_that_changes_references_gets_copies() -> None:
    class Careless:
        def verify(self, responses: list[str], references: list[dict[str, Any]]) -> list[Verdict]:
            answers = [reference.pop("answer") for reference in references]
            responses.clear()
            references.clear()
            return [Verdict(answer == "3", 1.0, Status.JUDGED, None, "m", "", 0.0) for answer in answers]

        def gold_response(self, reference: dict[str, Any]) -> str:
            return str(reference.pop("answer"))

        def reference_of(self, gold: list[str]) -> dict[str, Any]:
            return {"answer": gold.pop()}

    careless: Any = Careless()
    verifier, reference, responses, gold = GuardedVerifier(careless, "verifier"), {"answer": "3"}, ["a", "b"], ["3"]
    for _ in range(2):
        assert [verdict.correct for verdict in verifier.verify(responses, [reference, reference])] == [True, True]
        assert verifier.gold_response(reference) == "3"
        assert verifier.reference_of(gold) == {"answer": "3"}
    assert (reference, responses, gold) == ({"answer": "3"}, ["a", "b"], ["3"])


@pytest.mark.parametrize("value", [{"a": [1, {"b": (1, [2])}]}, [], {}, None, 1.5, "x", {1, 2}, {"a": {"b": {1}}}])
def test_a_detached_value_is_equal(value: Any) -> None:
    assert detached(value) == value
    assert isinstance(value, str | float | None) or detached(value) is not value


def test_what_cannot_be_copied_stays_shared() -> None:
    lock = threading.Lock()
    assert detached({"lock": lock})["lock"] is lock
