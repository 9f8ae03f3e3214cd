"""Group statistics and advantages over ragged groups, against sums done by hand in Python."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.algorithms.advantages.dr_grpo import dr_grpo_advantages
from reasonrl.algorithms.advantages.grpo import grpo_advantages
from reasonrl.algorithms.catalogue import ADVANTAGES
from reasonrl.algorithms.groups import group_baseline, group_mean, group_mix, group_size, group_std
from reasonrl.algorithms.moments import PromptMoments

Row = tuple[float, int, bool]


@st.composite
def ragged(draw: Any) -> list[Row]:
    """(reward, group, judged) rows in any order; every group ordinal up to the largest occurs."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    value = st.floats(-3, 3, allow_nan=False, width=32)
    rows = [(draw(value), g, draw(st.booleans())) for g, size in enumerate(sizes) for _ in range(size)]
    return draw(st.permutations(rows))


def tensors(rows: list[Row]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rewards are NaN where nothing was judged: no result may depend on them."""
    rewards = torch.tensor([r if judged else math.nan for r, _, judged in rows])
    return rewards, torch.tensor([g for _, g, _ in rows]), torch.tensor([judged for *_, judged in rows])


def by_hand(rows: list[Row], name: str) -> list[float]:
    out = []
    for reward, group, judged in rows:
        kept = [r for r, g, j in rows if g == group and j]
        if not judged:
            out.append(0.0)
            continue
        mean = statistics.fmean(kept) if len(kept) > 1 else 0.0
        scale = statistics.stdev(kept) + 1e-6 if len(kept) > 1 and name == "grpo" else 1.0
        out.append((reward - mean) / scale)
    return out


@given(ragged())
def test_means_and_deviations_are_those_of_the_judged_rows(rows: list[Row]) -> None:
    rewards, group, judged = tensors(rows)
    for made, direct in (
        (group_mean(rewards, group, judged), lambda kept: statistics.fmean(kept) if kept else 0.0),
        (group_std(rewards, group, judged), lambda kept: statistics.stdev(kept) if len(kept) > 1 else 0.0),
        (group_baseline(rewards, group, judged), lambda kept: statistics.fmean(kept) if len(kept) > 1 else 0.0),
        (group_size(group, judged), lambda kept: float(len(kept))),
    ):
        expected = [direct([r for r, g, j in rows if g == own and j]) for _, own, _ in rows]
        torch.testing.assert_close(made, torch.tensor(expected), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["dr_grpo", "grpo"])
@given(ragged())
def test_advantages_by_hand(name: str, rows: list[Row]) -> None:
    rewards, group, judged = tensors(rows)
    made = ADVANTAGES[name].load()(rewards, group, judged)
    for value, expected, (_, own, kept) in zip(made.tolist(), by_hand(rows, name), rows, strict=True):
        if not kept:
            assert value == 0.0
            continue
        spread = statistics.pstdev([r for r, g, j in rows if g == own and j])
        if name == "grpo" and 0 < spread < 1e-3:
            continue  # float32 cannot hold a quotient of two such differences
        assert value == pytest.approx(expected, abs=2e-4, rel=2e-4)


def advantages_of(name: str, rewards: torch.Tensor, group: torch.Tensor, judged: torch.Tensor | None) -> torch.Tensor:
    """Any estimator; what it needs besides is made from the rewards, so that it moves with the rows."""
    extra: dict[str, Any] = {
        "lengths": 1 + (rewards.nan_to_num().abs() * 10).round(),
        "greedy_rewards": torch.full(rewards.shape, 0.25),
        "reward_parts": {"a": rewards, "b": -rewards},
        "part_weights": {"a": 1.0, "b": 0.5},
        "predictions": torch.where(rewards > 0, 0.75, torch.nan),
        "problem_id": [str(g) for g in group.tolist()],
        "moments": {str(g): PromptMoments(2, 0.4, 0.3) for g in group.tolist()},
    }
    return ADVANTAGES[name].load()(rewards, group, judged, **{key: extra[key] for key in ADVANTAGES[name].needs})


OF_THE_BATCH = {"reinforce_pp", "reinforce_pp_baseline", "gpg", "lite_ppo", "gdpo"}
"""Scaled by the whole batch."""
WITHOUT_A_GROUP = {"reinforce_pp", "remax", "shrinkage", "dcpo"}
"""Even a group of equal rewards says something: against the batch, the greedy answer, the prediction, the past."""
FIRST_OF_EQUALS = {"passk"}
"""Among equals the first row is taken: permuting equals permutes nothing that matters, but the rows are told apart."""
SCALED = {"grpo", "passk", "gdpo", "lite_ppo", "reinforce_pp_baseline", "max_rl"}


@pytest.mark.parametrize("name", sorted(ADVANTAGES.keys() - FIRST_OF_EQUALS))
@given(rows=ragged(), data=st.data())
def test_the_order_of_rows_does_not_matter(name: str, rows: list[Row], data: Any) -> None:
    order = data.draw(st.permutations(range(len(rows))))
    rewards, group, judged = tensors(rows)
    rewards = rewards.round(decimals=1)
    made = advantages_of(name, rewards, group, judged)
    shuffled = advantages_of(name, rewards[order], group[order], judged[order])
    torch.testing.assert_close(shuffled, made[order], atol=1e-2 if name in SCALED else 1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", sorted(ADVANTAGES))
@given(ragged())
def test_unjudged_rows_get_nothing_and_all_values_are_finite(name: str, rows: list[Row]) -> None:
    rewards, group, judged = tensors(rows)
    made = advantages_of(name, rewards, group, judged)
    assert bool(torch.isfinite(made).all()) and bool((made[~judged] == 0).all())


@pytest.mark.parametrize("name", sorted(ADVANTAGES.keys() - OF_THE_BATCH))
def test_groups_do_not_see_each_other(name: str) -> None:
    rewards = torch.tensor([1.0, 0.0, 0.5, 9.0, -9.0])
    group = torch.tensor([0, 0, 0, 1, 1])
    alone = advantages_of(name, rewards[:3], group[:3], None)
    torch.testing.assert_close(advantages_of(name, rewards, group, None)[:3], alone)


@pytest.mark.parametrize("name", sorted(ADVANTAGES.keys() - WITHOUT_A_GROUP))
@given(value=st.floats(-2, 2, width=32), size=st.integers(2, 9))
def test_equal_rewards_teach_nothing(name: str, value: float, size: int) -> None:
    """Exactly: silent groups are found by comparing with 0, and a rounding would be blown up by the division by eps."""
    made = advantages_of(name, torch.full((size,), value), torch.zeros(size, dtype=torch.long), None)
    assert made.tolist() == [0.0] * size


def test_a_single_row_keeps_its_reward_as_in_verl() -> None:
    for advantages in (grpo_advantages, dr_grpo_advantages):
        assert advantages(torch.tensor([0.7]), torch.tensor([0]), None).tolist() == pytest.approx([0.7])


def test_values_by_hand() -> None:
    """r = 1, 0, 0 and 1, 1, worked out on paper."""
    rewards, group = torch.tensor([1.0, 0, 0, 1, 1]), torch.tensor([0, 0, 0, 1, 1])
    expected = {
        "rloo": [1, -0.5, -0.5, 0, 0],
        "remax": [0.75, -0.25, -0.25, 0.75, 0.75],
        "opo": [1 - 11 / 13, -11 / 13, -11 / 13, 0, 0],  # 11 tokens for a reward of 1, one for 0
        "gpg": [5 / 3 * 2 / 3, -5 / 9, -5 / 9, 0, 0],
        "passk": [3**0.5, 0, 0, 0, 0],
        "max_rl": [2, -1, -1, 0, 0],
    }
    for name, values in expected.items():
        assert advantages_of(name, rewards, group, None).tolist() == pytest.approx(values, abs=1e-5), name


def test_an_unjudged_row_leaves_the_others_as_if_it_were_not_there() -> None:
    rewards = torch.tensor([1.0, math.nan, 0.0, 0.0])
    judged = torch.tensor([True, False, True, True])
    made = grpo_advantages(rewards, torch.zeros(4, dtype=torch.long), judged)
    alone = grpo_advantages(rewards[judged], torch.zeros(3, dtype=torch.long), None)
    assert made[1] == 0
    torch.testing.assert_close(made[judged], alone)


def test_group_mix_counts_every_group_once() -> None:
    # mixed      right      wrong      one judged row   nobody judged   equal though answers differ
    group = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])
    rewards = torch.tensor([1.0, 0, 1, 1, 0, 0, 1, math.nan, math.nan, math.nan, 0, 0])
    correct = torch.tensor([1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 0]).bool()
    judged = torch.tensor([1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1]).bool()
    mix = group_mix(rewards, correct, group, judged)
    assert (mix.total, mix.mixed, mix.all_correct, mix.all_wrong, mix.unjudged) == (6, 1, 2, 1, 1)


def test_group_mix_of_nothing() -> None:
    empty = torch.zeros(0)
    assert group_mix(empty, empty.bool(), empty.long(), empty.bool()).total == 0


@pytest.mark.parametrize("name", sorted(ADVANTAGES))
def test_rewards_may_be_integers(name: str) -> None:
    rewards, group = torch.tensor([1, 0, 0, 1, 1]), torch.tensor([0, 0, 0, 1, 1])
    torch.testing.assert_close(
        advantages_of(name, rewards, group, None), advantages_of(name, rewards.float(), group, None)
    )
