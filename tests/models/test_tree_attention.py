"""Attention by the runs of a prefix tree against the same under a mask of all pairs, in value and in gradient."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.models.prefix_tree import PrefixTree, build_tree
from reasonrl.models.tree_attention import Run, _TreeAttention, are_cheaper, runs_of

TREES = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=30), min_size=1, max_size=9).map(build_tree)


def allowed(tree: PrefixTree) -> torch.Tensor:
    return tree.attention_mask(torch.float32, torch.device("cpu"))[0, 0] == 0


@given(TREES)
def test_runs_cover_every_pair_once(tree: PrefixTree) -> None:
    count = len(tree.tokens)
    covered = torch.zeros(count, count, dtype=torch.int)
    runs = runs_of(tree, count)
    for run in runs:
        own = torch.ones(run.end - run.start, run.end - run.start, dtype=torch.int).tril()
        covered[run.start : run.end, run.start : run.end] += own
        covered[run.end : run.last, run.start : run.end] += 1
    assert torch.equal(covered, allowed(tree).int())
    assert sum(run.pairs for run in runs) == int(covered.sum())
    assert len(runs) <= 2 * len(tree.paths)


def test_nodes_that_fill_a_tree_up_are_one_run() -> None:
    tree = build_tree([[1, 2, 3], [1, 2, 4, 5]])
    assert runs_of(tree, 8) == [Run(0, 2, 5), Run(2, 3, 3), Run(3, 5, 5), Run(5, 8, 8)]


@given(TREES, st.sampled_from([(1, 1), (6, 2), (4, 4), (5, 1)]), st.integers(0, 2**31))
def test_values_and_gradients(tree: PrefixTree, heads: tuple[int, int], seed: int) -> None:
    count, size = len(tree.tokens), 8
    nodes = count + seed % 5
    source = torch.Generator().manual_seed(seed)
    query, key, value = (
        torch.randn(kinds, nodes, size, generator=source, requires_grad=True)
        for kinds in (heads[0], heads[1], heads[1])
    )
    out = _TreeAttention.apply(query, key, value, runs_of(tree, nodes), 0.5)[:count]
    repeats = heads[0] // heads[1]
    keys, values = (part[:, :count].repeat_interleave(repeats, 0) for part in (key, value))
    scores = (query[:, :count] @ keys.transpose(1, 2) * 0.5).masked_fill(~allowed(tree), -torch.inf)
    expected = (torch.softmax(scores, -1) @ values).transpose(0, 1)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-4)
    weight = torch.randn(out.shape, generator=source)
    made, wanted = (torch.autograd.grad((o * weight).sum(), (query, key, value)) for o in (out, expected))
    for a, b in zip(made, wanted, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_bfloat16_is_summed_in_float32() -> None:
    random.seed(0)
    tree = build_tree([[1] * i + [random.randint(2, 9) for _ in range(40)] for i in range(0, 60, 4)])
    count = len(tree.tokens)
    source = torch.Generator().manual_seed(0)
    parts = [torch.randn(kinds, count, 16, generator=source) for kinds in (4, 2, 2)]
    whole, half = (
        _TreeAttention.apply(*(part.to(dtype) for part in parts), runs_of(tree, count), 0.25)
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert half.dtype is torch.bfloat16
    torch.testing.assert_close(half.float(), whole, atol=0.04, rtol=0.02)


@pytest.mark.parametrize(("rows", "length", "cheaper"), [(8, 100, True), (64, 3, False)])
def test_a_small_tree_of_many_runs_gets_a_mask(rows: int, length: int, cheaper: bool) -> None:
    tree = build_tree([[1, 2, 3, *[10 + i] * length] for i in range(rows)])
    assert are_cheaper(runs_of(tree, len(tree.tokens)), len(tree.tokens)) == cheaper
