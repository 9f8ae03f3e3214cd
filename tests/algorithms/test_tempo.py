"""TEMPO against a plain trie, and the properties that follow from its formula (P1 to P6)."""

from __future__ import annotations

import math
import statistics
import time
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from reasonrl.algorithms.advantages.grpo import grpo_advantages
from reasonrl.algorithms.batch import length_mask, pad_rows
from reasonrl.algorithms.tempo import tempo_advantages

Rows = list[tuple[int, list[int], float]]


@st.composite
def batches(draw: Any) -> Rows:
    """(group, tokens, reward): few tokens, so that prefixes are shared; empty responses, duplicates and prefixes of
    others occur.
    """
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    response = st.lists(st.integers(0, 2), max_size=6)
    reward = st.sampled_from([0.0, 1.0, 0.5, -0.25])
    rows = [(g, draw(response), draw(reward)) for g, size in enumerate(sizes) for _ in range(size)]
    return draw(st.permutations(rows))


def tensors(rows: Rows, padding: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    tokens = pad_rows([row for _, row, _ in rows], torch.long, padding)
    return (
        tokens,
        length_mask([len(row) for _, row, _ in rows]),
        torch.tensor([r for *_, r in rows]),
        torch.tensor([g for g, *_ in rows]),
    )


def by_hand(rows: Rows, norm_by_std: bool) -> list[list[float]]:
    out = []
    for group, response, reward in rows:
        members = [(t, r) for g, t, r in rows if g == group]
        if len(members) == 1:
            out.append([reward] * len(response))
            continue
        values = [r for _, r in members]
        scale = statistics.stdev(values) + 1e-6 if norm_by_std else 1.0

        def value(prefix: list[int], members: list[tuple[list[int], float]] = members) -> float:
            return statistics.fmean(r for t, r in members if t[: len(prefix)] == prefix)

        base = reward - statistics.fmean(values)
        out.append([(base + value(response[: t + 1]) - value(response[:t])) / scale for t in range(len(response))])
    return out


@settings(max_examples=300)
@given(batches(), st.booleans(), st.integers(0, 2))
def test_against_a_plain_trie(rows: Rows, norm_by_std: bool, padding: int) -> None:
    tokens, mask, rewards, group = tensors(rows, padding)  # padding looks like a real token
    made = tempo_advantages(tokens, mask, rewards, group, norm_by_std=norm_by_std)
    assert made.shape == tokens.shape and bool((made[~mask] == 0).all())
    for line, expected in zip(made.tolist(), by_hand(rows, norm_by_std), strict=True):
        assert line[: len(expected)] == pytest.approx(expected, abs=1e-4)


@given(batches())
def test_the_tree_term_telescopes(rows: Rows) -> None:
    """P1: over a row, the tree terms sum to V(its last prefix) - mean."""
    tokens, mask, rewards, group = tensors(rows)
    tree = (tempo_advantages(tokens, mask, rewards, group, norm_by_std=False) - _plain(rewards, group)[:, None]) * mask
    for i, (g, response, _) in enumerate(rows):
        members = [(t, r) for other, t, r in rows if other == g]
        if len(members) > 1:
            leaf = statistics.fmean(r for t, r in members if t[: len(response)] == response)
            assert float(tree[i].sum()) == pytest.approx(leaf - statistics.fmean(r for _, r in members), abs=1e-5)


def _plain(rewards: Tensor, group: Tensor) -> Tensor:
    from reasonrl.algorithms.advantages.dr_grpo import dr_grpo_advantages

    return dr_grpo_advantages(rewards, group)


@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 2), min_size=4, max_size=4), st.sampled_from([0.0, 1.0])),
        min_size=2,
        max_size=7,
    )
)
def test_the_differences_of_a_node_cancel(members: list[tuple[list[int], float]]) -> None:
    """P2: rows of equal length: at every node the tree terms of its rows sum to 0."""
    rows = [(0, tokens, reward) for tokens, reward in members]
    tokens, mask, rewards, group = tensors(rows)
    tree = tempo_advantages(tokens, mask, rewards, group, norm_by_std=False) - _plain(rewards, group)[:, None]
    for t in range(4):
        for prefix in {tuple(response[:t]) for response, _ in members}:
            at = [i for i, (response, _) in enumerate(members) if tuple(response[:t]) == prefix]
            assert float(tree[at, t].sum()) == pytest.approx(0, abs=1e-5)


def test_grpo_before_the_first_branch_and_once_alone() -> None:
    """P3, and P6 for rows that part at once."""
    tokens = torch.tensor([[7, 7, 1, 5, 5], [7, 7, 2, 5, 6], [7, 7, 2, 6, 6]])
    rewards, group = torch.tensor([1.0, 0.0, 1.0]), torch.zeros(3, dtype=torch.long)
    mask = torch.ones_like(tokens, dtype=torch.bool)
    made, grpo = tempo_advantages(tokens, mask, rewards, group), grpo_advantages(rewards, group)
    torch.testing.assert_close(made[:, :2], grpo[:, None].expand(3, 2))
    torch.testing.assert_close(made[0, 3:], grpo[:1].expand(2))
    torch.testing.assert_close(made[:, 4], grpo)
    apart = tempo_advantages(torch.tensor([[1, 2], [3, 4], [5, 6]]), mask[:, :2], rewards, group)
    torch.testing.assert_close(apart, torch.stack([2 * grpo, grpo], 1))


@given(batches(), st.data())
def test_rows_may_come_in_any_order_and_rewards_in_any_units(rows: Rows, data: Any) -> None:
    """P4 and P5."""
    order = data.draw(st.permutations(range(len(rows))))
    tokens, mask, rewards, group = tensors(rows)
    made = tempo_advantages(tokens, mask, rewards, group)
    again = tempo_advantages(tokens[order], mask[order], rewards[order], group[order])
    torch.testing.assert_close(again, made[order], atol=1e-5, rtol=1e-5)
    alone = torch.tensor([sum(g == other for other, *_ in rows) == 1 for g, *_ in rows])
    moved = tempo_advantages(tokens, mask, rewards * 3 + 2, group, eps=0.0)
    still = tempo_advantages(tokens, mask, rewards, group, eps=0.0)
    same = ~alone[:, None] & torch.isfinite(still)
    torch.testing.assert_close(moved[same.expand_as(moved)], still[same.expand_as(still)], atol=1e-4, rtol=1e-4)


@given(batches())
def test_equal_rewards_teach_exactly_nothing(rows: Rows) -> None:
    tokens, mask, rewards, group = tensors([(g, t, 1.1) for g, t, _ in rows])
    several = torch.tensor([sum(g == other for other, *_ in rows) > 1 for g, *_ in rows])
    assert bool((tempo_advantages(tokens, mask, rewards, group)[several] == 0).all())


def test_rows_without_a_reward_and_tokens_of_a_tool() -> None:
    tokens = torch.tensor([[1, 8, 2], [1, 9, 2], [1, 9, 3], [1, 9, 3]])
    mask = torch.tensor([[True, False, True]] * 4)  # the second token is a tool's
    rewards, judged = torch.tensor([1.0, 0.0, 1.0, math.nan]), torch.tensor([True, True, True, False])
    group = torch.zeros(4, dtype=torch.long)
    made = tempo_advantages(
        tokens, mask, rewards, group, norm_by_std=False, judged=judged, token_mask=torch.ones_like(mask)
    )
    third = 1 / 3
    # Branches at the tool's token carry no advantage; the first token of the policy behind it is judged from there: 1/2
    # among 9.
    assert made.tolist() == [
        pytest.approx([third, 0, third], abs=1e-6),
        pytest.approx([-2 * third, 0, -2 * third - 0.5], abs=1e-6),
        pytest.approx([third, 0, third + 0.5], abs=1e-6),
        [0, 0, 0],
    ]


def test_bad_input_is_named() -> None:
    tokens, mask = torch.zeros(2, 3, dtype=torch.long), torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match="rewards"):
        tempo_advantages(tokens, mask, torch.zeros(3), torch.zeros(3, dtype=torch.long))
    with pytest.raises(ValueError, match="finite"):
        tempo_advantages(tokens, mask, torch.tensor([1.0, math.nan]), torch.zeros(2, dtype=torch.long))


def big(kind: str, rows: int, length: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 1000, (rows, length), generator=generator)
    shared = {"apart": 0, "late": length - 16, "equal": length}[kind]
    tokens[:, :shared] = tokens[:1, :shared]
    rewards = torch.randint(0, 2, (rows,), generator=generator).float()
    return tokens, torch.ones_like(tokens, dtype=torch.bool), rewards, torch.zeros(rows, dtype=torch.long)


@pytest.mark.parametrize("kind", ["apart", "late", "equal"])
def test_long_responses_take_linear_time(kind: str) -> None:
    """benchmarks/algorithms.py has the figures; here only what a busy machine cannot hide: a step that is quadratic."""
    started = time.perf_counter()
    tempo_advantages(*big(kind, 1024, 4096))
    assert time.perf_counter() - started < 2.0


def test_a_ladder_of_branches_takes_linear_time() -> None:
    """One row leaves at every token: as many nodes as rows, each with a long way still to go."""
    rows, length = 512, 2048
    tokens = torch.zeros(rows, length, dtype=torch.long)
    for i in range(rows):
        tokens[i, 2 * i + 1 :] = i + 1
    rewards = torch.arange(rows).remainder(2).float()
    started = time.perf_counter()
    made = tempo_advantages(
        tokens, torch.ones_like(tokens, dtype=torch.bool), rewards, torch.zeros(rows, dtype=torch.long)
    )
    assert time.perf_counter() - started < 2.0
    assert int((made != made[:, :1]).sum()) > 0
