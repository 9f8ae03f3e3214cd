"""The unlikeliness reward and the ranks under it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.algorithms.unlikeliness import group_ranks, unlikeliness_rewards

Row = tuple[int, float, float]


@st.composite
def rows(draw: Any) -> list[Row]:
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    made = [
        (g, draw(st.sampled_from([0.0, 1.0, -1.0, 0.5])), draw(st.sampled_from([-3.0, -2.0, -1.0, -0.5])))
        for g, n in enumerate(sizes)
        for _ in range(n)
    ]
    return draw(st.permutations(made))


def columns(made: list[Row]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return (
        torch.tensor([r for _, r, _ in made]),
        torch.tensor([p for *_, p in made]),
        torch.tensor([g for g, *_ in made]),
    )


@given(rows())
def test_ranks_by_counting(made: list[Row]) -> None:
    _, logprobs, group = columns(made)
    for (g, _, p), rank in zip(made, group_ranks(logprobs, group).tolist(), strict=True):
        below = sum(h == g and q < p for h, _, q in made)
        equal = sum(h == g and q == p for h, _, q in made)
        assert rank == below + (equal - 1) / 2


@given(rows(), st.floats(0, 1))
def test_only_successes_are_shaped_and_less_likely_ones_earn_more(made: list[Row], beta: float) -> None:
    rewards, logprobs, group = columns(made)
    shaped = unlikeliness_rewards(rewards, logprobs, group, beta=beta)
    for i, (g, r, p) in enumerate(made):
        size = sum(h == g for h, *_ in made)
        if r <= 0:
            assert shaped[i] == rewards[i]
            continue
        assert r * (1 - beta * (size - 1) / size) - 1e-6 <= float(shaped[i]) <= r + 1e-6
        for j, (h, s, q) in enumerate(made):
            if (h, s) == (g, r) and q < p:
                assert shaped[j] >= shaped[i]
            if (h, s, q) == (g, r, p):
                assert shaped[j] == shaped[i]


def test_rows_that_were_not_judged_are_not_ranked() -> None:
    rewards, judged = torch.tensor([1.0, math.nan, 1.0]), torch.tensor([True, False, True])
    made = unlikeliness_rewards(
        rewards, torch.tensor([-1.0, math.nan, -2.0]), torch.zeros(3, dtype=torch.long), judged=judged
    )
    assert made[0].item() == pytest.approx(0.875) and made[2].item() == 1.0 and math.isnan(made[1].item())


def test_bad_input_is_named() -> None:
    zeros = torch.zeros(2, dtype=torch.long)
    with pytest.raises(ValueError, match="beta is 2"):
        unlikeliness_rewards(torch.ones(2), torch.zeros(2), zeros, beta=2)
    with pytest.raises(ValueError, match="row 1"):
        unlikeliness_rewards(torch.ones(2), torch.tensor([0.0, math.nan]), zeros)
