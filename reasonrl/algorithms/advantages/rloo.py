"""RLOO: a reward against the mean of the others in its group (arXiv:2402.14740, section 3.3).

    A_i = r_i - mean_{j != i}(r_j) = G / (G - 1) * (r_i - mean_g(r))

Unbiased, since a reward is not part of its own baseline. A group of one has no others: A = r, as in verl's `rloo` (its
`rloo_vectorized` gives 0); the trainer's filter drops such groups before they get here.
"""

from __future__ import annotations

from torch import Tensor

from reasonrl.algorithms.groups import group_baseline, group_size, zero_unjudged


def rloo_advantages(rewards: Tensor, group: Tensor, judged: Tensor | None = None) -> Tensor:
    """Advantages [B] from rewards [B], group ordinals [B] and the mask of judged rows [B] (None: all)."""
    size = group_size(group, judged)
    advantages = (rewards - group_baseline(rewards, group, judged)) * (size / (size - 1).clamp(min=1))
    return zero_unjudged(advantages, judged)
