"""Many token rows as one prefix tree, so that what they share goes through the model once.

The rollouts of a group share their prompt, all prompts of a few-shot task share their examples, and short answers
repeat each other. In a causal model the hidden state at a position depends on the tokens before it alone, so rows that
agree up to a position have the same state there: one node of the tree stands for all of them. Gradients are those of
the plain computation, since the sum of the losses at a node is differentiated once.

Rows sorted as sequences list the nodes in depth-first order, and then the descendants of node k are the interval
k..end[k]-1. Node q may attend to k exactly when k <= q < end[k], which is the whole attention mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PrefixTree:
    """Rows packed into N nodes in depth-first order."""

    tokens: Tensor
    """[N] token of each node."""
    depth: Tensor
    """[N] position of each node in its rows: the position ids."""
    end: Tensor
    """[N] one past the last descendant of each node."""
    paths: list[list[int]]
    """For each row, the node of each of its tokens."""

    def padded(self, multiple: int) -> PrefixTree:
        """The same with nodes of token 0 after it that see nothing but themselves, up to a multiple of `multiple`
        nodes.
        """
        count = len(self.tokens)
        more = -count % multiple
        fill = self.tokens.new_zeros(more)
        end = torch.arange(count + 1, count + more + 1)
        return PrefixTree(
            torch.cat([self.tokens, fill]), torch.cat([self.depth, fill]), torch.cat([self.end, end]), self.paths
        )

    def attention_mask(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Additive mask [1, 1, N, N]: 0 where a node may look, the lowest number elsewhere."""
        node = torch.arange(len(self.tokens))
        allowed = (node[None, :] <= node[:, None]) & (node[:, None] < self.end[None, :])
        mask = torch.zeros(allowed.shape, dtype=dtype).masked_fill_(~allowed, torch.finfo(dtype).min)
        return mask[None, None].to(device)


def build_tree(rows: Sequence[list[int]]) -> PrefixTree:
    """Pack token rows (any lengths, none empty) into a prefix tree. O(total tokens). Raises ValueError for an empty
    row.
    """
    order = sorted(range(len(rows)), key=lambda i: rows[i])
    tokens: list[int] = []
    depth: list[int] = []
    end: list[int] = []
    paths: list[list[int]] = [[] for _ in rows]
    previous_row: Sequence[int] = ()
    path: list[int] = []
    for i in order:
        row = rows[i]
        if not len(row):
            raise ValueError(f"row {i} holds no tokens")
        shared = common_prefix(previous_row, row)
        for node in path[shared:]:
            end[node] = len(tokens)
        path = path[:shared]
        for position in range(shared, len(row)):
            path.append(len(tokens))
            tokens.append(int(row[position]))
            depth.append(position)
            end.append(0)
        paths[i] = list(path)
        previous_row = row
    for node in path:
        end[node] = len(tokens)
    return PrefixTree(torch.tensor(tokens), torch.tensor(depth), torch.tensor(end), paths)


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Number of leading tokens that two rows share."""
    shared = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        shared += 1
    return shared


def split_padded(rows: Sequence[list[int]], max_positions: int) -> list[list[int]]:
    """Cut rows into micro-batches of at most `max_positions` places when each is padded to the longest of its own; a
    longer single row stands alone. Rows of like lengths come together. Every row index appears exactly once.
    """
    chunks: list[list[int]] = []
    for i in sorted(range(len(rows)), key=lambda i: (-len(rows[i]), i)):
        if not chunks or (len(chunks[-1]) + 1) * len(rows[chunks[-1][0]]) > max_positions:
            chunks.append([])
        chunks[-1].append(i)
    return chunks


def split_rows(rows: Sequence[list[int]], max_nodes: int) -> list[list[int]]:
    """Cut rows into micro-batches whose trees have at most `max_nodes` nodes; a longer single row stands alone.

    Neighbours in sorted order share most, so the cut is made there. Every row index appears exactly once.
    """
    order = sorted(range(len(rows)), key=lambda i: rows[i])
    chunks: list[list[int]] = []
    nodes, previous = 0, None
    for i in order:
        row = rows[i]
        new = len(row) - (common_prefix(rows[previous], row) if previous is not None else 0)
        if previous is None or nodes + new > max_nodes:
            chunks.append([])
            nodes, new = 0, len(row)
        chunks[-1].append(i)
        nodes += new
        previous = i
    return chunks
