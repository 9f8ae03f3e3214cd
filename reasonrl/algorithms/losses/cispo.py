"""CISPO: the importance weight is clipped, the token is never dropped (MiniMax-M1, arXiv:2506.13585, eq. 4 and 5).

    loss_t = -sg(clip(ratio, 1 - clip_low, 1 + clip_high)) * A * log pi

PPO's clip takes the gradient of a clipped token away altogether, and rare tokens ("wait", "however") are those that are
clipped. The paper bounds only from above; clip_low 1 gives that.
"""

from __future__ import annotations

import torch
from torch import Tensor


def cispo_loss(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, *, clip_low: float = 0.2, clip_high: float = 0.2
) -> tuple[Tensor, Tensor]:
    """Loss of each token and whether its weight was clipped; all shapes equal, usually [B, T]."""
    ratio = torch.exp((logprobs - old_logprobs).clamp(-20.0, 20.0)).detach()
    weight = ratio.clamp(1 - clip_low, 1 + clip_high)
    return -weight * advantages * logprobs, ratio != weight
