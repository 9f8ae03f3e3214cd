"""MaxRL: a success counts by how rare it is, as in maximum likelihood (arXiv:2602.02710; formula from memory, not
checked against code).

    A_i = (r_i - mean_g(r)) / mean_g(r)          0 where the group has no success

The gradient of log p instead of that of p: with rewards in {0, 1}, the successes of a group weigh the same together,
one or many.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reasonrl.algorithms.groups import group_mean, group_size, zero_unjudged


def max_rl_advantages(rewards: Tensor, group: Tensor, judged: Tensor | None = None, *, eps: float = 1e-6) -> Tensor:
    """Advantages [B] from rewards [B] in [0, 1], group ordinals [B] and the mask of judged rows [B] (None: all). A
    group of one: 0.
    """
    mean = group_mean(rewards, group, judged)
    some = (mean > eps) & (group_size(group, judged) > 1)
    return zero_unjudged(torch.where(some, (rewards - mean) / mean.clamp(min=eps), torch.zeros_like(rewards)), judged)
