"""Drawing tokens with noise that belongs to the row, not to the batch.

Each row brings its own uniform numbers, made from its seed before anything is generated. A token is found by inverting
the cumulative distribution, so one number a token is enough, and neither the other rows nor the device change what is
drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from reasonrl.engines.base import Sampling

SLICE = 16
"""Rows whose distributions stand in memory at a time, as five tables of float32 and one of float64."""


def row_noise(seeds: Sequence[int], length: int) -> Tensor:
    """Uniform numbers in [0, 1) of shape [B, length], float64; row i depends on `seeds[i]` alone."""
    return torch.from_numpy(
        np.stack([np.random.Generator(np.random.Philox(key=seed)).random(length) for seed in seeds])
    )


def draw_tokens(logits: Tensor, noise: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Tokens [B] and their log-probs [B] from logits [B, V] and uniform numbers [B].

    The log-prob is that of the whole distribution at the sampling temperature (temperature 1 for greedy), whatever
    top-p and top-k cut.
    """
    pieces = [_draw(*piece, sampling) for piece in zip(logits.split(SLICE), noise.split(SLICE), strict=True)]
    return torch.cat([tokens for tokens, _ in pieces]), torch.cat([logprobs for _, logprobs in pieces])


def _draw(logits: Tensor, noise: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    scaled = logits.float()
    if sampling.temperature > 0:
        scaled = scaled / sampling.temperature
    logprobs = torch.log_softmax(scaled, -1)
    if sampling.temperature == 0:
        tokens = logprobs.argmax(-1)
    else:
        # Summed in float64: 49,152 additions in float32 would bias the tail.
        cumulative = _truncate(logprobs.exp(), sampling).cumsum(-1, dtype=torch.float64)
        point = noise.to(cumulative.device)[:, None] * cumulative[:, -1:]
        tokens = torch.searchsorted(cumulative, point, right=True)[:, 0].clamp(max=logits.shape[-1] - 1)
    return tokens, logprobs.gather(-1, tokens[:, None])[:, 0]


def _truncate(probs: Tensor, sampling: Sampling) -> Tensor:
    if sampling.top_k and sampling.top_k < probs.shape[-1]:
        lowest_kept = probs.topk(sampling.top_k, -1).values[:, -1:]
        probs = probs.masked_fill(probs < lowest_kept, 0.0)
    if sampling.top_p < 1.0:
        ordered, index = probs.sort(-1, descending=True)
        before = ordered.cumsum(-1) - ordered
        ordered = ordered.masked_fill(before >= sampling.top_p * probs.sum(-1, keepdim=True), 0.0)
        probs = torch.zeros_like(probs).scatter(-1, index, ordered)
    return probs
