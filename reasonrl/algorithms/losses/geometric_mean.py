"""GMPO: the geometric mean of the token ratios, clipped token by token in log space (arXiv:2507.20673, eq. 4).

    loss_i = -A_i * exp( mean_t clip*(log ratio_t) ),    clip* to [-clip_low, clip_high] where that is the pessimistic
                                                         side

The loss is one number a sequence; it stands at each of its tokens here, so `loss_aggregation: sequence_mean` gives the
paper's mean over sequences. It averages the advantage over a sequence: token-level credit would be lost, and a recipe
that asks for both is refused. The bounds are those of log ratios: 0.4 in the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor


def geometric_mean_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float = 0.4,
    clip_high: float = 0.4,
) -> tuple[Tensor, Tensor]:
    """Loss of each token's sequence and whether the token's ratio was clipped, [B, T]; `mask` [B, T] marks the tokens
    of the loss.
    """
    log_ratio = (logprobs - old_logprobs).clamp(-20.0, 20.0)
    bounded = log_ratio.clamp(-clip_low, clip_high)
    sign = advantages.sign()
    pessimistic = sign * torch.minimum(sign * log_ratio, sign * bounded)
    length = mask.sum(1) + 1e-8
    ratio = torch.exp((pessimistic * mask).sum(1) / length)
    advantage = (advantages * mask).sum(1) / length
    return (-advantage * ratio)[:, None].expand_as(logprobs), (log_ratio != bounded).detach()
