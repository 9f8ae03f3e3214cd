"""Step 9: which advantages go into the update.

    clip    A <- clip(A, -bound, bound)                                               (5 in the Knapsack RL code)
    D3S     (a) of the whole batch, the rows whose advantages spread most: the largest positive and the most negative
            ones
            (b) of these, the share of tokens with the largest |A| * entropy          (arXiv:2509.22115)
            (c) shares that move from first to last with the progress of the run

D3S does not normalise again after (a). Steps (a) to (c) as summarised from the paper; its code was not seen.
"""

from __future__ import annotations

import torch
from torch import Tensor


def clip_advantages(advantages: Tensor, bound: float) -> Tensor:
    """Advantages of any shape inside [-bound, bound]. Raises ValueError for a bound that is not above 0."""
    if not bound > 0:
        raise ValueError(f"advantage clip: the bound is {bound}; it must be above 0")
    return advantages.clamp(-bound, bound)


def most_spread_rows(advantages: Tensor, count: int) -> Tensor:
    """Rows [B] (bool): the `count` rows whose advantages [B] have the largest variance.

    That is always some of the largest and some of the smallest: every split of `count` between the two ends is looked
    at. Rows with advantage 0 are taken only if the others do not fill the count.
    """
    size = len(advantages)
    keep = torch.zeros(size, dtype=torch.bool, device=advantages.device)
    if count >= size:
        return ~keep
    if count <= 0:
        return keep
    values, order = torch.sort(advantages.double(), stable=True)
    zero = values.new_zeros(1)
    sums, squares = torch.cat([zero, values.cumsum(0)]), torch.cat([zero, (values**2).cumsum(0)])
    low = torch.arange(
        count + 1, device=advantages.device
    )  # the number taken from the low end; the others come from the high end
    high = size - (count - low)
    total = sums[low] + sums[-1] - sums[high]
    square = squares[low] + squares[-1] - squares[high]
    best = int((square / count - (total / count) ** 2).argmax())
    keep[order[:best]] = True
    keep[order[size - (count - best) :]] = True
    return keep


def high_entropy_tokens(advantages: Tensor, entropy: Tensor, mask: Tensor, share: float) -> Tensor:
    """Tokens [B, T] (bool): the `share` of those in `mask` with the largest |A| * entropy; at least one if there is
    any.
    """
    worth = (advantages.abs() * entropy)[mask]
    keep = torch.zeros_like(mask)
    if len(worth):
        count = max(1, min(len(worth), round(share * len(worth))))
        chosen = torch.zeros(len(worth), dtype=torch.bool, device=mask.device)
        chosen[torch.argsort(worth, descending=True, stable=True)[:count]] = True
        keep[mask] = chosen
    return keep


def scheduled(first: float, last: float, progress: float) -> float:
    """From `first` to `last` with the run's progress in [0, 1]."""
    return (1 - progress) * first + progress * last
