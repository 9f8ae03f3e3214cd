"""D3S, clipping, and the weights against rollouts from other probabilities."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.algorithms.mismatch import icepop_weights, rows_that_agree, truncated_weights
from reasonrl.algorithms.selection import clip_advantages, high_entropy_tokens, most_spread_rows, scheduled


@given(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=7), st.integers(0, 7))
def test_the_rows_that_spread_most_by_trying_all(advantages: list[float], count: int) -> None:
    values = torch.tensor(advantages)
    keep = most_spread_rows(values, count)
    assert int(keep.sum()) == min(count, len(advantages))
    if 0 < count <= len(advantages):
        best = max(
            float(values[list(chosen)].double().var(correction=0))
            for chosen in itertools.combinations(range(len(advantages)), count)
        )
        assert float(values[keep].double().var(correction=0)) == pytest.approx(best, abs=1e-6)


def test_the_tokens_that_matter_most() -> None:
    advantages = torch.tensor([[1.0, 1.0], [-2.0, 0.0]])
    entropy = torch.tensor([[0.1, 0.9], [0.5, 9.0]])
    mask = torch.tensor([[True, True], [True, False]])
    assert high_entropy_tokens(advantages, entropy, mask, 2 / 3).tolist() == [[False, True], [True, False]]
    assert int(high_entropy_tokens(advantages, entropy, mask, 0.0).sum()) == 1
    assert not bool(high_entropy_tokens(advantages, entropy, torch.zeros_like(mask), 0.5).any())


def test_clip_and_schedule() -> None:
    assert clip_advantages(torch.tensor([-9.0, 0.5, 9.0]), 5.0).tolist() == [-5.0, 0.5, 5.0]
    with pytest.raises(ValueError, match="bound is 0"):
        clip_advantages(torch.zeros(1), 0)
    assert [scheduled(0.2, 1.0, p) for p in (0.0, 0.5, 1.0)] == pytest.approx([0.2, 0.6, 1.0])


def test_mismatch_weights_by_hand() -> None:
    rollout = torch.log(torch.tensor([[0.5, 0.1, 0.4]]))
    train = torch.log(torch.tensor([[0.5, 0.8, 0.04]])).requires_grad_(True)
    assert truncated_weights(train, rollout).tolist() == [pytest.approx([1.0, 2.0, 0.1])]
    assert icepop_weights(train, rollout).tolist() == [pytest.approx([1.0, 0.0, 0.0])]
    assert not truncated_weights(train, rollout).requires_grad
    mask = torch.tensor([[True, True, False]])
    bound = math.log(8) / 2
    assert rows_that_agree(train, rollout, mask, bound=bound + 1e-4).tolist() == [True]
    assert rows_that_agree(train, rollout, mask, bound=bound - 1e-4).tolist() == [False]
