"""How the losses of single tokens become one number: as a weight for each token, made for the whole update before it is
cut up.

Since the weights are made once for the whole batch, gradient accumulation is a plain sum and its result cannot depend
on the size of the micro-batches: the fault that several trainers shipped (a mean of means) cannot be written here.

| mode | weight of a token in row b | from |
|---|---|---|
| token_mean | 1 / tokens in the batch | DAPO (arXiv:2503.14476, eq. 8) |
| sequence_mean | 1 / (rows * tokens in row b) | GRPO (arXiv:2402.03300, eq. 3) |
| sequence_sum | 1 / (rows * max_new_tokens) | Dr. GRPO (arXiv:2503.20783): a constant, so long wrong answers are not
favoured |
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

Aggregation = Literal["token_mean", "sequence_mean", "sequence_sum"]


def token_weights(mask: Tensor, mode: Aggregation, max_new_tokens: int) -> Tensor:
    """Weights [B, T], zero outside `mask` [B, T]; the loss of the update is `(weights * token_loss).sum()`.

    Rows whose mask is empty (cut off, not judged) count neither as rows nor as tokens. Raises ValueError for an unknown
    mode.
    """
    weight = mask.float()
    lengths = weight.sum(1, keepdim=True)
    rows = (lengths > 0).sum().clamp(min=1)
    if mode == "token_mean":
        return weight / lengths.sum().clamp(min=1)
    if mode == "sequence_mean":
        return weight / lengths.clamp(min=1) / rows
    if mode == "sequence_sum":
        return weight / float(max_new_tokens) / rows
    raise ValueError(f"unknown loss aggregation '{mode}': choose token_mean, sequence_mean or sequence_sum")
