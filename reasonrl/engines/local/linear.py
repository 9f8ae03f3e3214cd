"""Matrix products with weights that are laid out once, as oneDNN wants them, and used for many tokens.

A plain product lays its weights out at every call, which with a few rows is half of its time.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reasonrl.models.devices import has_bfloat16

_ROWS = 64
"""Rows for which the layout is chosen."""


@dataclass(frozen=True)
class PackedLinear:
    """`torch.nn.functional.linear` with weights of its own."""

    weight: Tensor
    """[out, in], in a layout of oneDNN's"""
    bias: Tensor | None
    inputs: int
    dtype: torch.dtype

    def __call__(self, rows: Tensor) -> Tensor:
        """[N, in] to [N, out]."""
        product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.weight, self.bias, "none", [], "")
        return product


def pack(weights: Sequence[Tensor], biases: Sequence[Tensor | None], dtype: torch.dtype) -> PackedLinear:
    """One product for several weights [out, in] of the same inputs, whose results stand side by side."""
    weight = weights[0] if len(weights) == 1 else torch.cat(list(weights))
    bias = None
    if any(one is not None for one in biases):
        bias = torch.cat([w.new_zeros(len(w)) if b is None else b for w, b in zip(weights, biases, strict=True)]).to(
            dtype
        )
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype).contiguous(), _ROWS)
    return PackedLinear(packed, bias, weight.shape[1], dtype)


@functools.cache
def packing_dtype(dtype: torch.dtype) -> torch.dtype | None:
    """In which numbers weights of `dtype` are packed: bfloat16 stays where the processor has instructions for it, and
    is float32 elsewhere. None where nothing can be packed.
    """
    if dtype not in (torch.float32, torch.bfloat16):
        return None
    for tried in dict.fromkeys((dtype, torch.float32)):
        if tried is torch.bfloat16 and not has_bfloat16():
            continue
        rows, weight = torch.eye(32, dtype=tried), torch.arange(1024.0).reshape(32, 32).remainder(7).to(tried)
        try:
            same = torch.equal(pack([weight], [None], tried)(rows), weight.T)
        except (RuntimeError, AttributeError, NotImplementedError, TypeError):
            continue
        if same:
            return tried
    return None
