"""The clipped surrogate of PPO (arXiv:1707.06347, eq. 7), with DAPO's asymmetric bounds (arXiv:2503.14476, eq. 10) and
dual clip.

    ratio  = exp(logprob - old_logprob)
    loss_t = max(-A * ratio, -A * clip(ratio, 1 - clip_low, 1 + clip_high))
    A < 0:  loss_t = min(loss_t, -A * dual_clip)                        (arXiv:1912.09729, eq. 5; off unless asked for)

On the first update after a rollout the ratio is 1 in value but not in gradient, so the same formula serves the
on-policy case.
"""

from __future__ import annotations

import torch
from torch import Tensor


def ppo_clip_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Loss of each token and whether the clip was active on it; all shapes equal, usually [B, T].

    Places without a token may hold any finite value: the caller weighs them with 0.
    """
    # Clamped as in verl: exp overflows long before a ratio means anything.
    ratio = torch.exp((logprobs - old_logprobs).clamp(-20.0, 20.0))
    plain = -advantages * ratio
    clipped = -advantages * ratio.clamp(1.0 - clip_low, 1.0 + clip_high)
    loss = torch.maximum(plain, clipped)
    active = (clipped > plain).detach()
    if dual_clip is not None:
        loss = torch.where(advantages < 0, torch.minimum(loss, -advantages * dual_clip), loss)
    return loss, active
