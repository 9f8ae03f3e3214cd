"""DCPO's clip bounds from the old probability of each token: wide for rare tokens, narrow for sure ones
(arXiv:2509.02333, eq. 6).

    low(q)  = 1/2 + 1/2 sqrt(max(1 - 4 eps_low / q, 0))
    high(q) = min(1/2 + 1/2 sqrt(1 + 4 eps_high / q), cap)

A bound of 1.2 lets a token of probability 0.01 rise to 0.012 and one of 0.9 to 1.08. eps 0.16 and 0.2, cap 10, from the
authors' table (their script has 0.28 for the upper one).
"""

from __future__ import annotations

import torch
from torch import Tensor


def dcpo_bounds(
    old_logprobs: Tensor, *, eps_low: float = 0.16, eps_high: float = 0.2, cap: float = 10.0
) -> tuple[Tensor, Tensor]:
    """Lower and upper bound of the ratio of each token; shapes as `old_logprobs`."""
    q = torch.exp(old_logprobs).clamp(min=1e-30)
    low = 0.5 + 0.5 * torch.sqrt((1 - 4 * eps_low / q).clamp(min=0))
    high = (0.5 + 0.5 * torch.sqrt(1 + 4 * eps_high / q)).clamp(max=cap)
    return low, high


def dcpo_clip_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    *,
    eps_low: float = 0.16,
    eps_high: float = 0.2,
    cap: float = 10.0,
) -> tuple[Tensor, Tensor]:
    """PPO's clipped loss of each token inside these bounds, and whether the clip was active."""
    low, high = dcpo_bounds(old_logprobs, eps_low=eps_low, eps_high=eps_high, cap=cap)
    ratio = torch.exp((logprobs - old_logprobs).clamp(-20.0, 20.0))
    plain, clipped = -advantages * ratio, -advantages * torch.minimum(torch.maximum(ratio, low), high)
    return torch.maximum(plain, clipped), (clipped > plain).detach()
