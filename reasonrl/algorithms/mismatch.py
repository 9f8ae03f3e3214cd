"""Weights for rollouts that were drawn from other probabilities than the trainer computes: another kernel, precision,
or older weights.

    w_t = exp(log pi_train(t) - log pi_rollout(t))

    TIS      w_t clipped from above                                                  (truncated importance sampling, Yao
             et al. 2025)
    IcePop   w_t where it lies in [low, high], else 0: such a token takes no part     (arXiv:2510.18855)
    reject   a whole row is left out where its mean |log w| exceeds a bound

All are constants of the loss: no gradient flows through them. On the CPU engine the two probabilities agree and the
weights are 1.
"""

from __future__ import annotations

import torch
from torch import Tensor


def log_ratio(train_logprobs: Tensor, rollout_logprobs: Tensor) -> Tensor:
    """log w [B, T], bounded to 20 on both sides before anybody takes its exponential."""
    return (train_logprobs - rollout_logprobs).detach().clamp(-20.0, 20.0)


def truncated_weights(train_logprobs: Tensor, rollout_logprobs: Tensor, *, cap: float = 2.0) -> Tensor:
    """TIS weights [B, T] in (0, cap]."""
    return torch.exp(log_ratio(train_logprobs, rollout_logprobs)).clamp(max=cap)


def icepop_weights(train_logprobs: Tensor, rollout_logprobs: Tensor, *, low: float = 0.5, high: float = 5.0) -> Tensor:
    """IcePop weights [B, T]: w inside [low, high], 0 outside."""
    weight = torch.exp(log_ratio(train_logprobs, rollout_logprobs))
    return torch.where((weight >= low) & (weight <= high), weight, torch.zeros_like(weight))


def rows_that_agree(train_logprobs: Tensor, rollout_logprobs: Tensor, mask: Tensor, *, bound: float) -> Tensor:
    """Rows [B] (bool) whose mean |log w| over `mask` is at most `bound`."""
    distance = log_ratio(train_logprobs, rollout_logprobs).abs() * mask
    return distance.sum(1) / mask.sum(1).clamp(min=1) <= bound
