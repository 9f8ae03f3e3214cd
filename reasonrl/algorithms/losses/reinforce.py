"""The plain policy gradient, -A log pi: GPG's loss (arXiv:2504.02546) and the tightest on-policy choice. No ratio, no
clip.
"""

from __future__ import annotations

from torch import Tensor


def reinforce_loss(logprobs: Tensor, advantages: Tensor) -> Tensor:
    """Loss of each token; shapes equal, usually [B, T]."""
    return -advantages * logprobs
