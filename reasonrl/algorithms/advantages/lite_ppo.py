"""Lite PPO: the group's mean and the batch's deviation (arXiv:2508.08221, section 4.1; TRL's `scale_rewards="batch"`).

    A_i = (r_i - mean_g(r)) / (std_batch(r) + eps)

The division by a group's own deviation blows up groups that are nearly all alike; one scale for the batch does not.
Pair it with the token-mean loss, as the paper does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reasonrl.algorithms.groups import group_baseline, group_std, zero_unjudged


def lite_ppo_advantages(rewards: Tensor, group: Tensor, judged: Tensor | None = None, *, eps: float = 1e-6) -> Tensor:
    """Advantages [B] from rewards [B], group ordinals [B] and the mask of judged rows [B] (None: all)."""
    one_group = torch.zeros_like(group)
    return zero_unjudged(
        (rewards - group_baseline(rewards, group, judged)) / (group_std(rewards, one_group, judged) + eps), judged
    )
