"""Log-probs of response tokens: the forward pass of every update, of the old policy and of the reference.

What is not computed: logits of prompt tokens; a prompt more than once for its group; padding (see prefix_tree).
`packing="rows"` is the plain way, one padded row for each response: the reference that tests compare with, and the way
out for architectures whose attention cannot take a mask of our own (sliding windows, linear attention).
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from reasonrl.models.log_softmax import LogSoftmaxAt
from reasonrl.models.prefix_tree import build_tree, split_padded, split_rows
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


def micro_batches(rows: Sequence[TokenRow], most_positions: int, packing: Packing) -> list[list[int]]:
    """Indices of rows that go through the model together: at most `most_positions` places, padding included; a longer
    single row stands alone.
    """
    split = split_padded if packing == "rows" else split_rows
    return split([[*row.prompt, *row.response] for row in rows], most_positions)


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
        result: tuple[Tensor, Tensor] = LogSoftmaxAt.apply(
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
