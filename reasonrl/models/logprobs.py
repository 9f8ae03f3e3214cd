"""Log-probs of response tokens: the forward pass of every update, of the old policy and of the reference.

What is not computed: logits of prompt tokens; a prompt more than once for its group; padding (see prefix_tree). `packing="rows"` is the
plain way, one padded row for each response: the reference that tests compare with, and the way out for architectures whose attention
cannot take a mask of our own (sliding windows, linear attention).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from reasonrl.models.prefix_tree import build_tree

Packing = Literal["tree", "rows"]
HEAD_CHUNK = 256
"""Positions whose logits stand in memory at a time: 256 x 49152 x 4 bytes is 50 MB."""


@dataclass(frozen=True)
class TokenRow:
    """One response behind its prompt. Both hold at least one token."""

    prompt: Sequence[int]
    response: Sequence[int]


@dataclass(frozen=True)
class TokenLogprobs:
    """Right-padded with zeros to the longest response of the rows."""

    logprobs: Tensor
    """[B, T] log-prob of each response token at the sampling temperature; carries the gradient."""
    entropy: Tensor
    """[B, T] entropy in nats of the distribution that the token was drawn from; carries the gradient only if it was asked for."""
    positions: int
    """Token positions that went through the model."""


def response_logprobs(
    model: Any, rows: Sequence[TokenRow], *, temperature: float = 1.0, packing: Packing = "tree", entropy_gradient: bool = False
) -> TokenLogprobs:
    """Log-probs and entropies of the response tokens of `rows`. Gradients flow unless the caller has switched them off."""
    states, where, positions = (_tree_states if packing == "tree" else _padded_states)(model, rows)
    logprobs, entropy = _head(model, states, where, [list(row.response) for row in rows], temperature, entropy_gradient)
    return TokenLogprobs(logprobs, entropy, positions)


def _base(model: Any) -> tuple[Any, Any]:
    """The transformer below the head, and the head, of any causal LM; a LoRA model is called through its wrapped base."""
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    return causal.base_model, causal.get_output_embeddings()


def _tree_states(model: Any, rows: Sequence[TokenRow]) -> tuple[Tensor, list[list[int]], int]:
    tree = build_tree([[*row.prompt, *row.response] for row in rows])
    base, head = _base(model)
    device, dtype = head.weight.device, head.weight.dtype
    hidden = base(
        input_ids=tree.tokens[None].to(device),
        position_ids=tree.depth[None].to(device),
        attention_mask=tree.attention_mask(dtype, device),
        use_cache=False,
    ).last_hidden_state[0]
    # The token at place t is predicted by the state of the node before it.
    where = [path[len(row.prompt) - 1 : -1] for path, row in zip(tree.paths, rows, strict=True)]
    return hidden, where, len(tree.tokens)


def _padded_states(model: Any, rows: Sequence[TokenRow]) -> tuple[Tensor, list[list[int]], int]:
    base, head = _base(model)
    device = head.weight.device
    longest = max(len(row.prompt) + len(row.response) for row in rows)
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    where = []
    for i, row in enumerate(rows):
        full = [*row.prompt, *row.response]
        ids[i, : len(full)] = torch.tensor(full)
        mask[i, : len(full)] = 1
        where.append([i * longest + len(row.prompt) - 1 + t for t in range(len(row.response))])
    hidden = base(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False).last_hidden_state
    return hidden.reshape(-1, hidden.shape[-1]), where, ids.numel()


def _head(
    model: Any, states: Tensor, where: list[list[int]], targets: list[list[int]], temperature: float, entropy_gradient: bool
) -> tuple[Tensor, Tensor]:
    """Logits at the states that predict a response token, each state once, a chunk at a time."""
    head = _base(model)[1]
    width = max(len(row) for row in targets)
    places = sorted({place for row in where for place in row})
    ordinal = {place: i for i, place in enumerate(places)}
    # Pairs (state, token) that are asked for; several rows may ask for the same one.
    pair_state = torch.tensor([ordinal[place] for row in where for place in row])
    pair_token = torch.tensor([token for row in targets for token in row])
    by_state = torch.argsort(pair_state, stable=True)
    picked = states[torch.tensor(places, device=states.device)]

    def chunk(part: Tensor, local_state: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
        logits = head(part).float() / temperature
        normaliser = torch.logsumexp(logits, -1)
        with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
            entropy = normaliser - (torch.softmax(logits, -1) * logits).sum(-1)
        return logits[local_state, token] - normaliser[local_state], entropy[local_state]

    values, entropies = [], []
    recompute = torch.is_grad_enabled() and len(places) > HEAD_CHUNK
    bounds = torch.searchsorted(pair_state[by_state], torch.arange(0, len(places) + HEAD_CHUNK, HEAD_CHUNK))
    for k, start in enumerate(range(0, len(places), HEAD_CHUNK)):
        pairs = by_state[int(bounds[k]) : int(bounds[k + 1])]
        inputs = (picked[start : start + HEAD_CHUNK], (pair_state[pairs] - start).to(states.device), pair_token[pairs].to(states.device))
        value, entropy = checkpoint(chunk, *inputs, use_reentrant=False) if recompute else chunk(*inputs)
        values.append(value)
        entropies.append(entropy)
    # Scatter the pairs back to [B, T].
    row_of = torch.tensor([i for i, row in enumerate(targets) for _ in row])
    column = torch.tensor([t for row in targets for t in range(len(row))])
    flat = (row_of * width + column)[by_state].to(states.device)
    empty = torch.zeros(len(targets) * width, device=states.device)
    logprobs = empty.scatter(0, flat, torch.cat(values)).view(len(targets), width)
    return logprobs, empty.scatter(0, flat, torch.cat(entropies)).view(len(targets), width)


def tree_is_exact(model: Any, *, tolerance: float) -> bool:
    """Whether this architecture gives the same log-probs from a tree as from plain rows; compared on a few short rows.

    A window of attention can be longer than any row that is worth trying, so windows are looked for in the config.
    """
    config = model.config.get_text_config()
    if _has_window(config):
        return False
    vocabulary = config.vocab_size
    generator = torch.Generator().manual_seed(0)
    draw = torch.randint(0, vocabulary, (5, 8), generator=generator).tolist()
    rows = [TokenRow(draw[0], draw[1]), TokenRow(draw[0], draw[1][:3] + draw[2][:2]), TokenRow(draw[0][:3] + draw[3], draw[4][:4])]
    with torch.no_grad():
        try:
            tree = response_logprobs(model, rows, packing="tree").logprobs
        except (TypeError, ValueError, RuntimeError, AttributeError):
            return False  # an architecture that refuses a mask of our own
        plain = response_logprobs(model, rows, packing="rows").logprobs
    return bool((tree - plain).abs().max() <= tolerance)


def _has_window(config: Any) -> bool:
    """Whether some layer sees less than everything before it. A config that names its layers' types is believed over the bare number."""
    kinds = getattr(config, "layer_types", None)
    if kinds:
        return any(kind != "full_attention" for kind in kinds)
    window = getattr(config, "sliding_window", None)
    return (
        window is not None and window < getattr(config, "max_position_embeddings", math.inf) and getattr(config, "use_sliding_window", True)
    )
