"""`engines.sampling.draw_tokens` with fewer passes over memory, where no top-p or top-k cuts the distribution."""

from __future__ import annotations

import torch
from torch import Tensor

from reasonrl.engines.base import Sampling
from reasonrl.engines.local.kernel import layers_for
from reasonrl.engines.sampling import draw_tokens


def draw(logits: Tensor, noise: Tensor, sampling: Sampling) -> tuple[list[int], list[float]]:
    """Tokens and log-probs of B rows, from logits [B, V] and uniform numbers [B], float64."""
    functions = layers_for(logits.dtype) if logits.device.type == "cpu" else None
    if functions is None or sampling.top_k or sampling.top_p < 1.0:
        tokens, logprobs = draw_tokens(logits, noise, sampling)
        return tokens.tolist(), logprobs.tolist()
    logits, noise = logits.contiguous(), noise.contiguous()
    rows, size = logits.shape
    drawn, values = torch.empty(rows, dtype=torch.int64), torch.empty(rows, dtype=torch.float32)
    functions.draw(
        *(x.data_ptr() for x in (logits, noise, drawn, values)),
        *(rows, size, sampling.temperature, torch.get_num_threads()),
    )
    return drawn.tolist(), values.tolist()
