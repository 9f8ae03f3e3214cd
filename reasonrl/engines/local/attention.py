"""Attention over the block cache, in place of a model's own, for as long as `cached_attention` lasts.

Transformers calls the attention that a config names. Ours is given the new tokens of one packed row, and finds their
sequences in the pass that is being computed.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from reasonrl.engines.local.batched import Indices, attend_in_groups, indices_of
from reasonrl.engines.local.cache import BlockCache, LayerStore
from reasonrl.engines.local.kernel import TILE, HeadShape, Job, kernel_for
from reasonrl.models.cache_size import BLOCK
from reasonrl.models.lent_attention import lent_attention

NAME = "reasonrl_cached"
_NOT_COMPUTED = ("s_aux", "position_bias")
"""Arguments by which transformers gives an attention something to add."""
Way = Literal["kernel", "sequences", "groups"]


@dataclass
class Pass:
    """The tokens of one pass through the model: neighbours in a sequence stand together, in order."""

    cache: BlockCache
    tables: np.ndarray[Any, np.dtype[np.int32]]
    """[sequences, width] blocks of each sequence"""
    sequence: np.ndarray[Any, np.dtype[np.int32]]
    """[N] of each token, an index of `tables`"""
    position: np.ndarray[Any, np.dtype[np.int32]]
    """[N] of each token in its sequence"""
    copies: np.ndarray[Any, np.dtype[np.int32]] = field(default_factory=lambda: np.zeros((0, 4), np.int32))
    """[C, 4] a block, another one, and from which to which place the first is copied into it when the keys and values
    of this pass are stored. No place is both copied from and copied into.
    """
    way: Way | None = None
    """None: in groups on a GPU; on a CPU with the compiled kernel, and where there is none sequence by sequence."""

    @functools.cached_property
    def indices(self) -> Indices:
        """For `groups`, on the device of the cache."""
        device = next(iter(self.cache.layers.values())).keys.device
        return indices_of(self.tables, self.sequence, self.position, self.copies, device)

    def __post_init__(self) -> None:
        starts = np.flatnonzero(np.diff(self.sequence, prepend=-1))
        ends = np.append(starts[1:], len(self.sequence))
        runs = [place for start, end in zip(starts, ends, strict=True) for place in range(start, end, TILE)]
        self.runs = np.array([*runs, len(self.sequence)], np.int32)


_current: contextvars.ContextVar[Pass] = contextvars.ContextVar("pass")


@contextlib.contextmanager
def computing(step: Pass) -> Iterator[None]:
    token = _current.set(step)
    try:
        yield
    finally:
        _current.reset(token)


def cached_attention(config: Any) -> contextlib.AbstractContextManager[None]:
    """The model of this config attends through the cache until the block is left."""
    return lent_attention(config, NAME, _attend)


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """Query [1, heads, N, size], key and value [1, key heads, N, size]; returns [1, N, heads, value size]. Raises
    ValueError for an attention that it does not compute (attention sinks, biases by position).
    """
    step = _current.get()
    if unknown := [name for name in _NOT_COMPUTED if more.get(name) is not None]:
        raise ValueError(f"attention through the cache cannot compute {', '.join(unknown)}")
    if query.shape[0] != 1 or query.shape[2] != len(step.position):
        raise ValueError(f"a pass of {len(step.position)} tokens was given {tuple(query.shape)} queries")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return attend(step, module.layer_idx, query, key, value, scale, sliding_window or 0, softcap or 0.0), None


def attend(
    step: Pass, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float, window: int = 0, cap: float = 0.0
) -> Tensor:
    """Adds keys and values of a pass to the cache, and attends; shapes as of `_attend`. A window of 0 has no end."""
    store = step.cache.store(layer, key, value)
    heads, key_heads = query.shape[1], key.shape[1]
    on_cpu = query.device.type == "cpu"
    way = step.way or ("kernel" if on_cpu else "groups")
    if way == "groups":
        return attend_in_groups(step.indices, store, query, key, value, scale, window, cap)
    shape = HeadShape(key.shape[-1], value.shape[-1], heads // key_heads, query.dtype)
    kernel = kernel_for(shape) if on_cpu and way == "kernel" else None
    if kernel is None:
        return _attend_with_torch(step, store, query, key, value, scale, window, cap)
    query, key, value = (x if x.stride(-1) == 1 else x.contiguous() for x in (query, key, value))
    out = query.new_empty(1, query.shape[2], heads, value.shape[-1])
    kernel(
        Job(
            *(x.data_ptr() for x in (query, key, value, store.keys, store.values, out)),
            *(x.ctypes.data for x in (step.tables, step.sequence, step.position, step.runs, step.copies)),
            *(x.stride(dimension) for x in (query, key, value) for dimension in (2, 1)),
            query.shape[2],
            len(step.runs) - 1,
            len(step.copies),
            step.tables.shape[1],
            key_heads,
            window,
            scale,
            cap,
            torch.get_num_threads(),
        )
    )
    return out


def _attend_with_torch(
    step: Pass, store: LayerStore, query: Tensor, key: Tensor, value: Tensor, scale: float, window: int, cap: float
) -> Tensor:
    """The same without a kernel: each sequence's blocks are gathered, and its tokens attend to them by themselves."""
    device = query.device
    places = torch.from_numpy(step.position).long()
    blocks = torch.from_numpy(step.tables).long()[torch.from_numpy(step.sequence).long(), places // BLOCK].to(device)
    slots = (places % BLOCK).to(device)
    store.keys[blocks, :, :, slots] = key[0].transpose(0, 1)
    store.values[blocks, :, slots] = value[0].transpose(0, 1)
    for source, target, first, end in step.copies.tolist():
        store.keys[target, :, :, first:end] = store.keys[source, :, :, first:end]
        store.values[target, :, first:end] = store.values[source, :, first:end]
    heads, key_heads = query.shape[1], key.shape[1]
    pieces = []
    starts = np.flatnonzero(np.diff(step.sequence, prepend=-1))
    for start, end in zip(starts, np.append(starts[1:], len(step.sequence)), strict=True):
        seen = int(step.position[end - 1]) + 1
        table = torch.from_numpy(step.tables[step.sequence[start]][: -(-seen // BLOCK)]).long().to(device)
        keys = store.keys[table].permute(1, 0, 3, 2).flatten(1, 2)[:, :seen]
        values = store.values[table].transpose(0, 1).flatten(1, 2)[:, :seen]
        keys, values = (x.repeat_interleave(heads // key_heads, 0).float() for x in (keys, values))
        scores = torch.matmul(query[0, :, start:end].float() * scale, keys.transpose(-1, -2))
        if cap:
            scores = cap * torch.tanh(scores / cap)
        place, other = places[start:end, None].to(device), torch.arange(seen, device=device)
        hidden = other > place
        if window:
            hidden |= other <= place - window
        weights = torch.softmax(scores.masked_fill(hidden, -torch.inf), -1)
        pieces.append(torch.matmul(weights, values).to(query.dtype).transpose(0, 1))
    return torch.cat(pieces)[None]
