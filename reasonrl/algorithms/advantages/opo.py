"""OPO: the baseline of least variance for gradients whose size grows with the length (arXiv:2505.23585, eq. 8).

    A_i = r_i - sum_g(l * r) / sum_g(l)          l = loss tokens of a response

A group of one has baseline 0, as in verl. Meant for exactly on-policy updates without a KL term.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reasonrl.algorithms.groups import group_mean, group_size, real, zero_unjudged


def opo_advantages(rewards: Tensor, group: Tensor, judged: Tensor | None = None, *, lengths: Tensor) -> Tensor:
    """Advantages [B] from rewards [B], group ordinals [B] and loss tokens a row, `lengths` [B]. A group without tokens:
    its plain mean.
    """
    weight = lengths.double()
    mean_length = group_mean(weight, group, judged)
    weight = torch.where(mean_length > 0, weight, torch.ones_like(weight))
    weighted = group_mean(rewards.double() * weight, group, judged) / group_mean(weight, group, judged).clamp(min=1e-12)
    baseline = torch.where(group_size(group, judged) > 1, weighted, torch.zeros_like(weighted)).to(real(rewards))
    return zero_unjudged(rewards - baseline, judged)
