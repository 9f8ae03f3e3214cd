"""The prefix tree is a lossless packing: its paths spell the rows, and its mask is the ancestor relation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.models.prefix_tree import build_tree, common_prefix, split_padded, split_rows

# Three tokens only, so that rows share prefixes, contain each other and repeat.
token_rows = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=7), min_size=1, max_size=8)


@given(token_rows)
def test_paths_spell_the_rows_and_positions_count_up(rows: list[list[int]]) -> None:
    tree = build_tree(rows)
    for row, path in zip(rows, tree.paths, strict=True):
        assert tree.tokens[path].tolist() == row
        assert tree.depth[path].tolist() == list(range(len(row)))


@given(token_rows)
def test_nothing_shared_is_held_twice(rows: list[list[int]]) -> None:
    prefixes = {tuple(row[: i + 1]) for row in rows for i in range(len(row))}
    assert len(build_tree(rows).tokens) == len(prefixes)


@given(token_rows)
def test_the_mask_is_the_ancestor_relation(rows: list[list[int]]) -> None:
    tree = build_tree(rows)
    expected = torch.zeros(len(tree.tokens), len(tree.tokens), dtype=torch.bool)
    for path in tree.paths:
        for depth, node in enumerate(path):
            expected[node, path[: depth + 1]] = True
    mask = tree.attention_mask(torch.float32, torch.device("cpu"))
    assert mask.shape == (1, 1, *expected.shape)
    assert torch.equal(mask[0, 0] == 0, expected)
    assert bool((mask[0, 0][~expected] == torch.finfo(torch.float32).min).all())


@given(rows=token_rows, limit=st.integers(1, 30))
def test_split_is_a_partition_within_the_limit(rows: list[list[int]], limit: int) -> None:
    parts = split_rows(rows, limit)
    assert sorted(i for part in parts for i in part) == list(range(len(rows)))
    for part in parts:
        assert part
        assert len(part) == 1 or len(build_tree([rows[i] for i in part]).tokens) <= limit


@given(rows=token_rows, limit=st.integers(1, 30))
def test_padded_rows_stay_within_the_limit(rows: list[list[int]], limit: int) -> None:
    parts = split_padded(rows, limit)
    assert sorted(i for part in parts for i in part) == list(range(len(rows)))
    for part in parts:
        assert len(part) == 1 or len(part) * max(len(rows[i]) for i in part) <= limit


@given(token_rows)
def test_a_large_limit_makes_one_part(rows: list[list[int]]) -> None:
    assert len(split_rows(rows, 1000)) == 1


def test_common_prefix() -> None:
    assert [common_prefix(*pair) for pair in (((1, 2), (1, 2, 3)), ((1,), (2,)), ((), (1,)), ((1, 2), (1, 3)))] == [
        2,
        0,
        0,
        1,
    ]


def test_an_empty_row_is_refused_by_number() -> None:
    with pytest.raises(ValueError, match="row 1 holds no tokens"):
        build_tree([[1], []])


def test_padding_sees_nothing_and_is_seen_by_nothing() -> None:
    tree = build_tree([[1, 2, 3], [1, 2, 4, 5], [6]])
    wide = tree.padded(8)
    assert len(tree.tokens) == 6
    assert len(wide.tokens) == len(wide.depth) == len(wide.end) == 8
    mask = wide.attention_mask(torch.float32, torch.device("cpu"))[0, 0] == 0
    assert torch.equal(mask[:6, :6], tree.attention_mask(torch.float32, torch.device("cpu"))[0, 0] == 0)
    assert torch.equal(mask[6:], torch.eye(8, dtype=torch.bool)[6:])
    assert not mask[:6, 6:].any()
    assert len(tree.padded(3).tokens) == 6
