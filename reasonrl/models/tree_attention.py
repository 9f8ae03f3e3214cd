"""Attention over a prefix tree without a mask of N x N: each run of nodes attends to itself, and all that is below it
attends to it.

Nodes stand in depth-first order, so what is below a run follows it. A tree of R rows is cut into at most 2 R - 1 runs,
and every pair of nodes of which one may see the other is in one rectangle: a run and itself, or a run and those below
it. The rectangles of one query are put together by the logarithms of their sums (Milakov and Gimelshein 2018,
arXiv 1805.02867). Backward, a rectangle needs only the output and the logarithm of the whole (Liu et al. 2023, ring
attention, arXiv 2310.01889): memory grows with N.

transformers calls this for the attention that a config names, for as long as `tree_attention` lasts. The runs are an
argument of forward, so a layer that gradient checkpointing computes again finds them.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reasonrl.models.checkpointing import computes_activations_again
from reasonrl.models.lent_attention import lent_attention
from reasonrl.models.prefix_tree import PrefixTree

NAME = "reasonrl_tree"
ARGUMENT = "reasonrl_runs"
"""Of a model's forward."""
_CALL = 10_000
"""Pairs of nodes under a mask that take as long as one more call of the kernel: 2,000 measured with 9 heads of 64, more
with fewer or smaller ones.
"""


@dataclass(frozen=True)
class Run:
    """Nodes start to end, each the only child of the one before it, and those below them: end to last."""

    start: int
    end: int
    last: int

    @property
    def nodes(self) -> slice:
        return slice(self.start, self.end)

    @property
    def below(self) -> slice:
        return slice(self.end, self.last)

    @property
    def pairs(self) -> int:
        """Of a node and one that it may see, within the run and from below."""
        length = self.end - self.start
        return length * (length + 1) // 2 + length * (self.last - self.end)


def runs_of(tree: PrefixTree, nodes: int) -> list[Run]:
    """The runs of a tree; nodes that fill it up to `nodes` are one more, which nothing reads."""
    end = tree.end
    count = len(end)
    node = torch.arange(count - 1)
    cuts = ((end[:-1] == node + 1) | (end[1:] != end[:-1])).nonzero()[:, 0] + 1
    bounds = [0, *cuts.tolist(), count]
    runs = [Run(start, stop, int(end[stop - 1])) for start, stop in itertools.pairwise(bounds)]
    return [*runs, Run(count, nodes, nodes)] if nodes > count else runs


def runs_for(model: Any, tree: PrefixTree, nodes: int, *, always: bool = False) -> list[Run] | None:
    """The runs to compute a tree by; None where a mask takes less time, unless `always`, or where there is no way but
    a mask.

    A layer that gradient checkpointing computes again calls the attention in the backward pass, when it must still be
    ours: that is known only within `tree_attention`.
    """
    runs = runs_of(tree, nodes)
    computes_again = computes_activations_again(model) and torch.is_grad_enabled()
    is_on = model.config.get_text_config()._attn_implementation == NAME
    wanted = always or are_cheaper(runs, nodes)
    return runs if wanted and is_possible(model) and (is_on or not computes_again) else None


def are_cheaper(runs: list[Run], nodes: int) -> bool:
    """Whether the runs take less time than a mask of all pairs of `nodes` nodes."""
    calls = sum(1 + (run.last > run.end) for run in runs)
    return calls * _CALL + sum(run.pairs for run in runs) < nodes * nodes


def is_possible(model: Any) -> bool:
    """Whether torch has the kernel for the model's device, and the model attends as the kernel does."""
    config = model.config.get_text_config()
    on_cpu = next(model.parameters()).device.type == "cpu"
    calls_ours = getattr(model, "_supports_attention_backend", False) and config._attn_implementation in (NAME, "sdpa")
    return on_cpu and calls_ours and not _drops_attention(config) and _kernels() is not None


def _drops_attention(config: Any) -> bool:
    """By any of the names that architectures have for it (attention_dropout, attn_pdrop, ...)."""
    return any(
        isinstance(value, int | float) and value > 0
        for name, value in config.to_dict().items()
        if "drop" in name and ("attn" in name or "attention" in name)
    )


def tree_attention(model: Any) -> contextlib.AbstractContextManager[None]:
    """The model attends by runs, where it is given them, until the block is left. With gradient
    checkpointing the backward pass belongs into the block.
    """
    return lent_attention(model.config.get_text_config(), NAME, _attend)


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor | None]:
    """Query [1, heads, N, size], key and value [1, key heads, N, size]; returns [1, N, heads, size]. Raises ValueError
    for what the kernel does not compute.
    """
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    runs = options.pop(ARGUMENT, None)
    if runs is None and attention_mask is not None:
        by_mask: tuple[Tensor, Tensor | None] = ALL_ATTENTION_FUNCTIONS["sdpa"](
            module, query, key, value, attention_mask, **options
        )
        return by_mask
    unknown = [name for name in ("softcap", "sliding_window", "s_aux", "dropout", "position_bias") if options.get(name)]
    if runs is None or unknown or len(query) != 1 or runs[-1].last != query.shape[2]:
        raise ValueError(f"attention by runs cannot compute {unknown or [tuple(query.shape)]}")
    scale = options.get("scaling")
    out: Tensor = _TreeAttention.apply(
        query[0], key[0], value[0], runs, query.shape[-1] ** -0.5 if scale is None else scale
    )
    return out[None], None


class _TreeAttention(torch.autograd.Function):
    """Query [heads, N, size], key and value [key heads, N, size] to [N, heads, size]."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, runs: list[Run], scale: float) -> Tensor:
        attend, _ = _kernels()
        queries, keys, values = _grouped(query, len(key)), _repeated(key, query), _repeated(value, query)
        nodes_first = query.new_empty(query.shape[1], query.shape[0], value.shape[-1], dtype=torch.float32)
        out = _grouped(nodes_first.transpose(0, 1), len(key))
        total = query.new_empty(queries.shape[:3], dtype=torch.float32)
        for nodes in (run.nodes for run in runs):
            out[:, :, nodes], total[:, :, nodes] = attend(
                queries[:, :, nodes], keys[:, :, nodes], values[:, :, nodes], 0.0, True, scale=scale
            )
        for nodes, below in ((run.nodes, run.below) for run in runs if run.last > run.end):
            part, log = attend(queries[:, :, below], keys[:, :, nodes], values[:, :, nodes], 0.0, False, scale=scale)
            both = torch.logaddexp(total[:, :, below], log)
            out[:, :, below] *= (total[:, :, below] - both).exp_()[..., None]
            out[:, :, below] += (log - both).exp_()[..., None] * part
            total[:, :, below] = both
        nodes_first = nodes_first.to(query.dtype)
        ctx.save_for_backward(query, key, value, nodes_first, total)
        ctx.runs, ctx.scale = runs, scale
        return nodes_first

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        _, pull = _kernels()
        query, key, value, out, total = ctx.saved_tensors
        queries, keys, values = _grouped(query, len(key)), _repeated(key, query), _repeated(value, query)
        results, wanted = (_grouped(part.transpose(0, 1), len(key)) for part in (out, gradient))
        grads = [torch.empty(part.shape, dtype=torch.float32) for part in (query, key, value)]
        for_queries = _grouped(grads[0], len(key))

        def rectangle(places: slice, nodes: slice, *, is_own: bool) -> None:
            part = pull(
                *(some[:, :, places] for some in (wanted, queries)),
                *(some[:, :, nodes] for some in (keys, values)),
                *(some[:, :, places] for some in (results, total)),
                *(0.0, is_own),
                scale=ctx.scale,
            )
            if is_own:
                for_queries[:, :, places] = part[0]
                for i in (1, 2):
                    torch.sum(part[i].float(), 0, out=grads[i][:, nodes])
            else:
                for_queries[:, :, places] += part[0]
                for i in (1, 2):
                    grads[i][:, nodes] += part[i].float().sum(0)

        for run in ctx.runs:
            rectangle(run.nodes, run.nodes, is_own=True)
        for run in ctx.runs:
            if run.last > run.end:
                rectangle(run.below, run.nodes, is_own=False)
        return grads[0].to(query.dtype), grads[1].to(key.dtype), grads[2].to(value.dtype), None, None


def _grouped(heads: Tensor, key_heads: int) -> Tensor:
    """[heads, N, size] to [heads a key head, key heads, N, size], where it is: neighbours share a key head."""
    return heads.unflatten(0, (key_heads, -1)).transpose(0, 1)


def _repeated(keys: Tensor, query: Tensor) -> Tensor:
    """[key heads, N, size] to [heads a key head, key heads, N, size], without a copy."""
    return keys.expand(len(query) // len(keys), -1, -1, -1)


@functools.cache
def _kernels() -> Any:
    """Attention with the logarithms of its sums, and its way back; None where this torch has them not."""
    names = ("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention_for_cpu_backward")
    functions = [getattr(torch.ops.aten, name, None) for name in names]
    return None if None in functions else functions
