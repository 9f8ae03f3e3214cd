"""V_0.5: a group's mean drawn towards what was predicted of its prompt, as far as the two agree (arXiv:2603.10848).

    s2 = mu (1 - mu) / n                      how sure the group's mean mu is
    d2 = max((mu - V)^2 - s2, 0)              how much more the two differ than chance would have it
    w  = d2 / (d2 + s2)
    A  = r - (w mu + (1 - w) V)

A prediction saves rollouts: groups of four will do. Where it is plainly wrong, w is near 1 and it is not used. How
sure: the idea is the paper's, the formula our reconstruction (positive-part shrinkage); the paper's own was not seen.
With `smoothed`, mu in s2 is (successes + 1) / (n + 2), since a group that is all right or all wrong would have no doubt
at all and the prediction never a say.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reasonrl.algorithms.groups import group_mean, group_size, zero_unjudged


def shrinkage_weight(mean: Tensor, predicted: Tensor, size: Tensor, *, smoothed: bool = True) -> Tensor:
    """w: the share of the group's own mean in the baseline. All shapes equal."""
    sure = (mean * size + 1) / (size + 2) if smoothed else mean
    s2 = sure * (1 - sure) / size.clamp(min=1)
    d2 = ((mean - predicted) ** 2 - s2).clamp(min=0)
    return torch.where(d2 + s2 > 0, d2 / (d2 + s2).clamp(min=1e-12), torch.ones_like(s2))


def shrinkage_advantages(
    rewards: Tensor, group: Tensor, judged: Tensor | None = None, *, predictions: Tensor, smoothed: bool = True
) -> Tensor:
    """Advantages [B] from rewards [B] in [0, 1], group ordinals [B] and the predicted success rate of each row's prompt
    [B].

    A prediction of NaN (nothing known) leaves the group's mean. Works for a group of one: its baseline is mostly the
    prediction.
    """
    mean, size = group_mean(rewards, group, judged), group_size(group, judged)
    known = ~torch.isnan(predictions)
    weight = shrinkage_weight(mean, torch.where(known, predictions, mean), size, smoothed=smoothed)
    baseline = torch.where(known, weight * mean + (1 - weight) * predictions.nan_to_num(), mean)
    return zero_unjudged(rewards - baseline, judged)
