"""Step 8 with an advantage of a user's: what it is given, and what it may return."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch

from reasonrl.algorithms.catalogue import Advantage
from reasonrl.errors import TrainingError
from tests.update.test_pipeline import pipeline, rollouts

PATH = "advantage_of_a_user:advantage"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    brought = ModuleType("advantage_of_a_user")
    monkeypatch.setitem(sys.modules, "advantage_of_a_user", brought)
    return brought


def test_it_is_called_by_name_and_rows_without_a_verdict_get_0(module: Any) -> None:
    seen: dict[str, Any] = {}

    def advantage(problem_id: Any, judged: Any, part_weights: Any, group: Any, rewards: Any, lengths: Any) -> Any:
        seen.update(problem_id=problem_id, judged=judged, part_weights=part_weights, group=group, lengths=lengths)
        return torch.full_like(rewards, 2.0).where(judged, torch.full_like(rewards, float("nan")))

    module.advantage = advantage
    prepared = pipeline(advantage=PATH).prepare(rollouts([1.0, 0.0, None], [1.0, 0.0]), step=1)
    assert prepared.rollout_advantages.tolist() == [2.0, 2.0, 0.0, 2.0, 2.0]
    assert seen["judged"].tolist() == [True, True, False, True, True]
    assert seen["group"].tolist() == [0, 0, 0, 1, 1] and seen["lengths"].tolist() == [3] * 5
    assert seen["problem_id"] == ["0", "0", "0", "1", "1"] and seen["part_weights"] == {"correctness": 1.0}


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (torch.zeros(2), r"must return one advantage for each row, \[4\], not \[2\]"),
        (torch.zeros(4, 1), r"not \[4, 1\]"),
        (torch.zeros(()), r"not \[\]"),
        ([0.0] * 4, "not a value of type list"),
        (torch.tensor([0.0, float("inf"), 0.0, 0.0]), "gives row 1 the advantage inf, not a finite number"),
    ],
)
def test_what_it_must_not_return(module: Any, result: Any, message: str) -> None:
    module.advantage = lambda rewards, group, judged: result
    with pytest.raises(TrainingError, match=f"^train.advantage: {PATH} .*{message}"):
        pipeline(advantage=PATH).prepare(rollouts([1.0, 0.0], [1.0, 0.0]), step=1)


def test_only_a_group_baseline_needs_a_second_rollout(module: Any) -> None:
    def advantage(rewards: Any, group: Any, judged: Any) -> Any:
        return torch.ones_like(rewards)

    module.advantage = advantage
    alone = [[1.0], [1.0, 0.0]]
    assert pipeline(advantage=PATH).prepare(rollouts(*alone), step=1).trainable.tolist() == [False, True, True]
    module.advantage = Advantage(advantage, "batch")
    assert pipeline(advantage=PATH).prepare(rollouts(*alone), step=1).trainable.tolist() == [True, True, True]


@pytest.mark.parametrize("raised", [ZeroDivisionError("by zero"), SystemExit(0)])
def test_what_it_raises_names_its_line(module: Any, raised: BaseException) -> None:
    def advantage(rewards: Any, group: Any, judged: Any) -> Any:
        raise raised

    module.advantage = advantage
    line = advantage.__code__.co_firstlineno + 1
    message = rf"^train\.advantage: advantage: .*\(.*test_user_advantage\.py, line {line}\)$"
    with pytest.raises(TrainingError, match=message):
        pipeline(advantage=PATH).prepare(rollouts([1.0, 0.0], [1.0, 0.0]), step=1)


def test_what_it_changes_are_copies(module: Any) -> None:
    def advantage(rewards: Any, group: Any, judged: Any, reward_parts: Any, problem_id: Any) -> Any:
        rewards -= rewards.mean()
        group.zero_()
        judged.zero_()
        reward_parts.clear()
        problem_id.clear()
        return rewards

    module.advantage = advantage
    prepared = pipeline(advantage=PATH).prepare(rollouts([1.0, 0.0], [1.0, 0.0]), step=1)
    assert prepared.rollout_advantages.tolist() == [0.5, -0.5, 0.5, -0.5]
    assert prepared.batch.rewards.tolist() == [1.0, 0.0, 1.0, 0.0]
    assert prepared.shaped_rewards.tolist() == [1.0, 0.0, 1.0, 0.0]
    assert prepared.batch.group.tolist() == [0, 0, 1, 1]
    assert prepared.trainable.tolist() == [True] * 4
    assert prepared.batch.problem_id == ["0", "0", "1", "1"]
