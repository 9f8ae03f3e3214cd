"""What is wrong with a batch is said before anything is computed from it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from reasonrl.algorithms.batch import RolloutBatch, length_mask


def batch(**changes: Any) -> RolloutBatch:
    mask = length_mask([2, 1])
    good: dict[str, Any] = {
        "problem_id": ["a", "b"],
        "group": torch.tensor([0, 1]),
        "tokens": torch.zeros(2, 2, dtype=torch.long),
        "loss_mask": mask,
        "token_mask": mask,
        "rewards": torch.tensor([1.0, 0.0]),
        "judged": torch.tensor([True, True]),
        "rollout_logprobs": torch.zeros(2, 2),
    }
    return RolloutBatch(**{**good, **changes})


def test_a_good_batch() -> None:
    assert batch().rewards.tolist() == [1.0, 0.0]
    padding = torch.tensor([[0.0, 0.0], [0.0, float("nan")]])
    assert batch(rollout_logprobs=padding).rollout_logprobs is padding  # outside the mask anything may stand
    assert not batch(rewards=torch.tensor([1.0, float("nan")]), judged=torch.tensor([True, False])).judged[1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"group": torch.tensor([0])}, "group has 1 rows, problem_id has 2"),
        ({"group": torch.tensor([0, -1])}, "group is -1 in row 1"),
        ({"loss_mask": torch.ones(2, 2, dtype=torch.bool)}, "loss_mask is set where token_mask"),
        ({"rewards": torch.tensor([1.0, float("nan")])}, r"reward of row 1 \(b\) is not a finite number"),
        ({"rollout_logprobs": torch.tensor([[0.0, float("inf")], [0.0, 0.0]])}, r"rollout_logprobs of row 0 \(a\)"),
    ],
)
def test_a_bad_one_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        batch(**changes)
