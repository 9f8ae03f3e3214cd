"""GSPO: one importance ratio for the whole sequence (arXiv:2507.18071, eq. 5 to 7, in its token form, eq. 13).

    s_i    = exp( mean_t (log pi - log pi_old) )
    loss_t = max(-A s, -A clip(s, 1 - clip_low, 1 + clip_high)),    s_t = sg(s_i) * pi_t / sg(pi_t)

Value s_i, gradient through each token: token advantages are allowed. The paper's bounds are tiny (3e-4, 4e-4): a mean
of log-ratios moves little. Meant for `loss_aggregation: sequence_mean`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def gspo_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float = 3e-4,
    clip_high: float = 4e-4,
) -> tuple[Tensor, Tensor]:
    """Loss of each token and whether the clip was active on it, [B, T]; `mask` [B, T] marks the tokens of the loss."""
    log_ratio = ((logprobs - old_logprobs).detach() * mask).sum(1) / mask.sum(1).clamp(min=1)
    ratio = torch.exp((logprobs - logprobs.detach() + log_ratio[:, None]).clamp(max=10.0))
    plain, clipped = -advantages * ratio, -advantages * ratio.clamp(1 - clip_low, 1 + clip_high)
    return torch.maximum(plain, clipped), (clipped > plain).detach()
