"""Best-of-group advantage: only the best response of a group learns, by its lead over the second (verl's `grpo_passk`).

    A_best = (r_1 - r_2) / (std_g(r) + eps),   r_1 >= r_2 the two largest rewards;   all others 0

An estimate of the gradient of E[max of the group] (arXiv:2503.19595). With binary rewards it speaks only where exactly
one response is right. Ties go to the first row. A group of one: 0 (verl raises there).
"""

from __future__ import annotations

import torch
from torch import Tensor

from reasonrl.algorithms.groups import group_size, group_std, real, zero_unjudged


def passk_advantages(
    rewards: Tensor, group: Tensor, judged: Tensor | None = None, *, eps: float = 1e-6, norm_by_std: bool = True
) -> Tensor:
    """Advantages [B] from rewards [B], group ordinals [B] and the mask of judged rows [B] (None: all)."""
    rewards = rewards.to(real(rewards))
    keep = torch.ones_like(group, dtype=torch.bool) if judged is None else judged
    worth = torch.where(keep, rewards, torch.full_like(rewards, -torch.inf))
    by_worth = torch.argsort(worth, descending=True, stable=True)
    order = by_worth[torch.argsort(group[by_worth], stable=True)]  # groups together, best first
    ordered_group = group[order]
    first = torch.ones(len(ordered_group), dtype=torch.bool, device=group.device)
    first[1:] = ordered_group[1:] != ordered_group[:-1]
    lead = torch.zeros_like(rewards)
    best = first.nonzero()[:, 0]
    best = best[(group_size(group, keep)[order[best]] > 1)]
    lead[order[best]] = (
        worth[order[best]] - worth[order[(best + 1).clamp(max=len(order) - 1)]] if len(best) else lead[:0]
    )
    return zero_unjudged(lead / (group_std(rewards, group, judged) + eps) if norm_by_std else lead, judged)
