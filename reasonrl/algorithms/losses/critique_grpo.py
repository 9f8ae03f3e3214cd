"""Critique-GRPO's term for refinements that a critique has guided (arXiv:2506.03106, eq. 5).

    loss_t = -A * f(pi_t),    f(p) = p / (p + gamma)

A refinement was not drawn from the policy without the critique, so there is no old probability. f passes more gradient
to unlikely tokens (f' = gamma / (p + gamma)^2), which are the ones that the critique has taught. gamma 0.1 as in the
authors' code.
"""

from __future__ import annotations

import torch
from torch import Tensor


def critique_grpo_loss(logprobs: Tensor, advantages: Tensor, *, gamma: float = 0.1) -> Tensor:
    """Loss of each token of an off-policy row; shapes equal, usually [B, T]."""
    probability = torch.exp(logprobs)
    return -advantages * probability / (probability + gamma)
