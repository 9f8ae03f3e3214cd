"""Attention over the block cache by torch's own kernels, for a GPU: sequences with about as many new tokens go through
together, behind a copy of their blocks.

The kernels of torch choose their loops by the shape of a batch, so what a row gets may depend on its company in the
last bits. On a CPU `attention` computes without that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reasonrl.engines.local.cache import LayerStore
from reasonrl.models.cache_size import BLOCK


@dataclass(frozen=True)
class Group:
    """S sequences with at most T new tokens each and at most L places before or of them, a multiple of BLOCK."""

    tokens: Tensor
    """[S, T] places of the new tokens in the pass; where a sequence has fewer, its last one again."""
    is_new: Tensor
    """[S, T] False where it stands again."""
    tables: Tensor
    """[S, L / BLOCK] blocks"""
    is_written: Tensor
    """[S, 1, L, 1] places that hold keys and values."""
    positions: Tensor
    """[S, T] of each new token in its sequence."""


@dataclass(frozen=True)
class Indices:
    """A pass on its device, the same for all layers."""

    blocks: Tensor
    """[N] into which the keys and values of each token go"""
    slots: Tensor
    """[N] and at which place of it"""
    copied: tuple[Tensor, Tensor, Tensor]
    """[M] blocks that are copied from, blocks that are copied into, and the place"""
    groups: list[Group]


def indices_of(tables: Any, sequence: Any, position: Any, copies: Any, device: torch.device) -> Indices:
    """Of the arrays of a `Pass`."""
    starts = np.flatnonzero(np.diff(sequence, prepend=-1))
    ends = np.append(starts[1:], len(sequence))
    members: dict[int, list[tuple[int, int]]] = {}
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        members.setdefault((end - start - 1).bit_length(), []).append((start, end))
    groups = []
    for some in members.values():
        longest = max(end - start for start, end in some)
        offsets = np.arange(longest)
        first, last = (np.array([pair[i] for pair in some])[:, None] for i in (0, 1))
        tokens = np.minimum(first + offsets, last - 1)
        seen = position[last[:, 0] - 1] + 1
        width = -(-int(seen.max()) // BLOCK)
        written = np.arange(width * BLOCK) < seen[:, None]
        parts = (tokens, first + offsets < last, tables[sequence[first[:, 0]], :width], written, position[tokens])
        tensors = [torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in parts]
        groups.append(Group(tensors[0], tensors[1], tensors[2].long(), tensors[3][:, None, :, None], tensors[4].long()))
    blocks = torch.from_numpy(tables[sequence, position // BLOCK]).long().to(device)
    slots = torch.from_numpy(position % BLOCK).long().to(device)
    places = [(source, target, place) for source, target, first, end in copies.tolist() for place in range(first, end)]
    source, target, place = torch.tensor(places, dtype=torch.long).reshape(-1, 3).to(device).unbind(1)
    return Indices(blocks, slots, (source, target, place), groups)


def attend_in_groups(
    indices: Indices,
    store: LayerStore,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    window: int,
    cap: float,
) -> Tensor:
    """Adds keys and values to the cache, and attends. Query [1, heads, N, size], key and value [1, key heads, N, size];
    returns [1, N, heads, value size]. A window of 0 has no end, a cap of 0 is none.
    """
    store.keys[indices.blocks, :, :, indices.slots] = key[0].transpose(0, 1)
    store.values[indices.blocks, :, indices.slots] = value[0].transpose(0, 1)
    source, target, place = indices.copied
    store.keys[target, :, :, place] = store.keys[source, :, :, place]
    store.values[target, :, place] = store.values[source, :, place]
    out = query.new_empty(query.shape[2], query.shape[1], value.shape[-1])
    for group in indices.groups:
        # [S, W, heads, size, BLOCK] and [S, W, heads, BLOCK, size] to [S, heads, L, size]
        keys = store.keys[group.tables].permute(0, 2, 1, 4, 3).flatten(2, 3)
        values = store.values[group.tables].transpose(1, 2).flatten(2, 3)
        # What was never written may be NaN, which no mask takes away.
        keys, values = (part.masked_fill(~group.is_written, 0) for part in (keys, values))
        attended = _attend(query[0][:, group.tokens].transpose(0, 1), keys, values, group, scale, window, cap)
        out[group.tokens[group.is_new]] = attended.transpose(1, 2)[group.is_new].to(out.dtype)
    return out[None]


def _attend(query: Tensor, keys: Tensor, values: Tensor, group: Group, scale: float, window: int, cap: float) -> Tensor:
    """Query [S, heads, T, size], keys and values [S, key heads, L, size]; returns [S, heads, T, value size]."""
    place = torch.arange(keys.shape[2], device=keys.device)
    position = group.positions[:, None, :, None]
    visible = place <= position
    if window:
        visible &= place > position - window
    repeats = query.shape[1] // keys.shape[1]
    if not cap:
        return torch.nn.functional.scaled_dot_product_attention(
            query, keys, values, attn_mask=visible, scale=scale, enable_gqa=repeats > 1
        )
    keys, values = (part.repeat_interleave(repeats, 1) for part in (keys, values))
    scores = torch.matmul(query.float() * scale, keys.float().transpose(-1, -2))
    scores = (cap * torch.tanh(scores / cap)).masked_fill(~visible, -torch.inf)
    return torch.matmul(torch.softmax(scores, -1).to(values.dtype), values)
