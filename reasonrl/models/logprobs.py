"""Log-probs of response tokens: the forward pass of every update, of the old policy and of the reference.

What is not computed: logits of prompt tokens; a prompt more than once for its group; padding (see prefix_tree).
`packing="rows"` is the plain way, one padded row for each response: the reference that tests compare with, and the way
out for architectures whose attention cannot take a mask of our own (sliding windows, linear attention).
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from reasonrl.models.prefix_tree import build_tree
from reasonrl.models.tree_attention import ARGUMENT, is_possible, runs_for, tree_attention

Packing = Literal["tree", "tree_runs", "tree_mask", "rows"]
"""`tree`: by runs or with a mask, whichever takes less time."""
HEAD_ELEMENTS = 2**27
"""Logits that are kept from the forward to the backward pass: 256 MB in bfloat16, or 2,700 places with a vocabulary of
50,000. More of them are computed twice, a block at a time.
"""
ROUND_TO = 32
"""Trees are filled up to a multiple of this many nodes: oneDNN compiles and keeps kernels for each size that it meets,
4 MB a size.
"""
SLICE = 32
"""Rows of logits that stand in memory as float32 at a time."""


@dataclass(frozen=True)
class TokenRow:
    """One response after its prompt. Both hold at least one token."""

    prompt: Sequence[int]
    response: Sequence[int]


@dataclass(frozen=True)
class TokenLogprobs:
    """Right-padded with zeros to the longest response of the rows."""

    logprobs: Tensor
    """[B, T] log-prob of each response token at the sampling temperature; carries the gradient."""
    entropy: Tensor
    """[B, T] entropy in nats of the distribution that the token was drawn from; carries the gradient only if it was
    asked for.
    """
    positions: int
    """Token positions that went through the model, not counting those that fill a tree up."""


def response_logprobs(
    model: Any,
    rows: Sequence[TokenRow],
    *,
    temperature: float = 1.0,
    packing: Packing = "tree",
    entropy_gradient: bool = False,
) -> TokenLogprobs:
    """Log-probs and entropies of the response tokens of `rows`. Gradients flow unless the caller has switched them
    off.
    """
    states, state_indices, positions = (
        _padded_states(model, rows) if packing == "rows" else _tree_states(model, rows, packing)
    )
    targets = [list(row.response) for row in rows]
    logprobs, entropy = _head(model, states, state_indices, targets, temperature, entropy_gradient)
    return TokenLogprobs(logprobs, entropy, positions)


def forward_and_backward(model: Any, packing: Packing) -> contextlib.AbstractContextManager[None]:
    """A block around `response_logprobs` and the backward pass from it. Without it a model with gradient checkpointing
    computes trees with a mask, since its backward pass calls the attention again.
    """
    if packing in ("tree", "tree_runs") and is_possible(model):
        return tree_attention(model)
    return contextlib.nullcontext()


def last_hidden_states(model: Any, prompts: Sequence[Sequence[int]], *, rows_per_batch: int = 64) -> Tensor:
    """[n, H] in float32: the state at the last token of each prompt, without gradients. Prompts of one length go
    through together, so a state does not depend on what else is asked for.
    """
    base, head = base_and_head(model)
    out = torch.zeros(len(prompts), head.weight.shape[1])
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    with torch.no_grad():
        for _, same in itertools.groupby(order, key=lambda i: len(prompts[i])):
            members = list(same)
            for start in range(0, len(members), rows_per_batch):
                part = members[start : start + rows_per_batch]
                ids = torch.tensor([list(prompts[i]) for i in part], device=head.weight.device)
                out[part] = base(input_ids=ids, use_cache=False).last_hidden_state[:, -1].float().cpu()
    return out


def base_and_head(model: Any) -> tuple[Any, Any]:
    """The transformer below the head, and the head, of any causal LM; a LoRA model is called through its wrapped
    base.
    """
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    return causal.base_model, causal.get_output_embeddings()


def _tree_states(model: Any, rows: Sequence[TokenRow], packing: Packing) -> tuple[Tensor, list[list[int]], int]:
    tree = build_tree([[*row.prompt, *row.response] for row in rows])
    base, head = base_and_head(model)
    device = head.weight.device
    padded = tree.padded(ROUND_TO)
    runs = None if packing == "tree_mask" else runs_for(model, tree, len(padded.tokens), always=packing == "tree_runs")
    arguments = {"input_ids": padded.tokens[None].to(device), "position_ids": padded.depth[None].to(device)}
    if runs is not None:
        with tree_attention(model):
            out = base(**arguments, attention_mask=None, use_cache=False, **{ARGUMENT: runs})
    else:
        mask = padded.attention_mask(head.weight.dtype, device)
        out = base(**arguments, attention_mask=mask, use_cache=False)
    # The token at place t is predicted by the state of the node before it.
    state_indices = [path[len(row.prompt) - 1 : -1] for path, row in zip(tree.paths, rows, strict=True)]
    return out.last_hidden_state[0], state_indices, len(tree.tokens)


def _padded_states(model: Any, rows: Sequence[TokenRow]) -> tuple[Tensor, list[list[int]], int]:
    base, head = base_and_head(model)
    device = head.weight.device
    longest = max(len(row.prompt) + len(row.response) for row in rows)
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    state_indices = []
    for i, row in enumerate(rows):
        full = [*row.prompt, *row.response]
        ids[i, : len(full)] = torch.tensor(full)
        mask[i, : len(full)] = 1
        state_indices.append([i * longest + len(row.prompt) - 1 + t for t in range(len(row.response))])
    hidden = base(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False).last_hidden_state
    return hidden.reshape(-1, hidden.shape[-1]), state_indices, ids.numel()


def _head(
    model: Any,
    states: Tensor,
    state_indices: list[list[int]],
    targets: list[list[int]],
    temperature: float,
    entropy_gradient: bool,
) -> tuple[Tensor, Tensor]:
    """Logits at the states that predict a response token, each state once, a block at a time."""
    head = base_and_head(model)[1]
    width = max(len(row) for row in targets)
    places = sorted({place for row in state_indices for place in row})
    ordinal = {place: i for i, place in enumerate(places)}
    # Pairs (state, token) that are asked for; several rows may ask for the same one.
    pair_state = torch.tensor([ordinal[place] for row in state_indices for place in row])
    pair_token = torch.tensor([token for row in targets for token in row])
    by_state = torch.argsort(pair_state, stable=True)
    picked = states[torch.tensor(places, device=states.device)]

    def block(part: Tensor, local_state: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        result: tuple[Tensor, Tensor] = _LogSoftmaxAt.apply(
            head(part), local_state, token, temperature, entropy_gradient
        )
        return result

    values, entropies = [], []
    size = max(1, HEAD_ELEMENTS // head.weight.shape[0])
    recompute = torch.is_grad_enabled() and len(places) > size
    bounds = torch.searchsorted(pair_state[by_state], torch.arange(0, len(places) + size, size))
    for k, start in enumerate(range(0, len(places), size)):
        pairs = by_state[int(bounds[k]) : int(bounds[k + 1])]
        inputs = (
            picked[start : start + size],
            (pair_state[pairs] - start).to(states.device),
            pair_token[pairs].to(states.device),
        )
        value, entropy = checkpoint(block, *inputs, use_reentrant=False) if recompute else block(*inputs)
        values.append(value)
        entropies.append(entropy)
    # Scatter the pairs back to [B, T].
    row_of = torch.tensor([i for i, row in enumerate(targets) for _ in row])
    column = torch.tensor([t for row in targets for t in range(len(row))])
    flat = (row_of * width + column)[by_state].to(states.device)
    empty = torch.zeros(len(targets) * width, device=states.device)
    logprobs = empty.scatter(0, flat, torch.cat(values)).view(len(targets), width)
    return logprobs, empty.scatter(0, flat, torch.cat(entropies)).view(len(targets), width)


class _LogSoftmaxAt(torch.autograd.Function):
    """Log-probs of P picked (state, token) pairs and the entropies of their states, from logits [S, V] in the model's
    dtype.

    Autograd would keep three float32 tables of [S, V]. Here the logits are all that is kept; float32 is made of `SLICE`
    rows at a time, in both passes, and the gradient is written over the logits. So a second backward pass through the
    same graph is refused by torch.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, state: Tensor, token: Tensor, temperature: float, entropy_gradient: bool
    ) -> tuple[Tensor, Tensor]:
        count = len(logits)
        picked = torch.empty(len(state), dtype=torch.float32, device=logits.device)
        normaliser = torch.empty(count, dtype=torch.float32, device=logits.device)
        entropy = torch.empty(count, dtype=torch.float32, device=logits.device)
        for start, pairs in _slices(state, count):
            z = logits[start : start + SLICE].to(torch.float32, copy=True).div_(temperature)
            here = slice(start, start + len(z))
            torch.logsumexp(z, -1, out=normaliser[here])
            picked[pairs] = z[state[pairs] - start, token[pairs]] - normaliser[state[pairs]]
            p = (z - normaliser[here, None]).exp_()
            entropy[here] = normaliser[here] - p.mul_(z).sum(-1)
        ctx.save_for_backward(logits, state, token, normaliser, entropy)
        ctx.temperature = temperature
        ctx.set_materialize_grads(False)
        of_pairs = entropy[state]
        if not entropy_gradient:
            ctx.mark_non_differentiable(of_pairs)
        return picked, of_pairs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, grad_picked: Tensor | None, grad_entropy: Tensor | None
    ) -> tuple[Tensor, None, None, None, None]:
        logits, state, token, normaliser, entropy = ctx.saved_tensors
        if grad_picked is None:
            grad_picked = torch.zeros(len(state), device=logits.device)
        count = len(logits)
        # A state that several rows share gets the sum of what they ask.
        pull = torch.zeros_like(normaliser).index_add_(0, state, grad_picked)
        pull_entropy = None if grad_entropy is None else torch.zeros_like(normaliser).index_add_(0, state, grad_entropy)
        for start, pairs in _slices(state, count):
            here = slice(start, min(start + SLICE, count))
            log_p = logits[here].to(torch.float32, copy=True).div_(ctx.temperature).sub_(normaliser[here, None])
            if pull_entropy is None:
                gradient = log_p.exp_().mul_(-pull[here, None])
            else:
                # d entropy / d z = -p (log p + entropy)
                p = log_p.exp()
                gradient = (
                    log_p.add_(entropy[here, None]).mul_(pull_entropy[here, None]).add_(pull[here, None]).mul_(p).neg_()
                )
            gradient.index_put_((state[pairs] - start, token[pairs]), grad_picked[pairs], accumulate=True)
            logits[here] = gradient.div_(ctx.temperature)
        return logits.detach(), None, None, None, None


def _slices(state: Tensor, count: int) -> Iterator[tuple[int, slice]]:
    """First state of every slice, and the pairs that belong to it; `state` is sorted."""
    starts = range(0, count, SLICE)
    bounds = torch.searchsorted(state.cpu(), torch.tensor([*starts, count]))
    for k, start in enumerate(starts):
        yield start, slice(int(bounds[k]), int(bounds[k + 1]))
