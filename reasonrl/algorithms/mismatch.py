"""Weights for rollouts that were drawn from other probabilities than the trainer computes: another kernel, precision,
or older weights.

    w_t = exp(log pi_train(t) - log pi_rollout(t))

    TIS      w_t clipped from above: truncated importance sampling (Yao et al. 2025, "Your efficient RL framework
             secretly brings you off-policy RL training"; from memory, the page was not at hand)
    IcePop   w_t where it lies in [low, high], else 0: such a token takes no part (arXiv:2510.18855)
    reject   a whole row is left out where its mean |log w| exceeds a bound

Others call this rollout correction, and the difference the train-inference mismatch. All weights are constants of the
loss: no gradient flows through them. On the CPU engine the two probabilities agree and the weights are 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class Correction:
    """Which weights, and their bounds."""

    name: Literal["none", "tis", "icepop"] = "none"
    cap: float = 2.0
    """TIS: weights are at most this."""
    low: float = 0.5
    high: float = 5.0
    """IcePop: weights outside [low, high] are 0."""
    reject_above: float | None = None
    """Rows whose mean |log w| exceeds this are left out."""

    @property
    def is_on(self) -> bool:
        return self.name != "none" or self.reject_above is not None

    def weights(self, train_logprobs: Tensor, rollout_logprobs: Tensor, mask: Tensor) -> Tensor | None:
        """[B, T] weights of the tokens in `mask` [B, T]; None where nothing is corrected."""
        if not self.is_on:
            return None
        weights = mask.float()
        if self.name == "tis":
            weights = truncated_weights(train_logprobs, rollout_logprobs, cap=self.cap)
        elif self.name == "icepop":
            weights = icepop_weights(train_logprobs, rollout_logprobs, low=self.low, high=self.high)
        if self.reject_above is not None:
            weights = (
                weights * rows_that_agree(train_logprobs, rollout_logprobs, mask, bound=self.reject_above)[:, None]
            )
        return weights

    def changed(self, weights: Tensor) -> Tensor:
        """[B, T] bool: where `weights` of this correction were truncated, or leave a token out."""
        truncated = weights >= self.cap if self.name == "tis" else torch.zeros_like(weights, dtype=torch.bool)
        return truncated | (weights == 0)


def logprob_gap(train_logprobs: Tensor, rollout_logprobs: Tensor, mask: Tensor) -> tuple[float, float]:
    """Sum and maximum over `mask` [B, T] of |log pi_train - log pi_rollout|, in nats; 0 where nothing is masked in."""
    gaps = (train_logprobs - rollout_logprobs).abs() * mask
    return float(gaps.sum()), float(gaps.max()) if gaps.numel() else 0.0


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
