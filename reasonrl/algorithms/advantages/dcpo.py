"""DCPO's smooth advantage standardisation: a prompt's rewards against all its rollouts so far (arXiv:2509.02333,
section 3.2).

With i the times this prompt has been rolled out, (m, v) mean and variance over the i - 1 earlier ones, pooled one visit
at a time:

    m_tot = ((i-1) m + m_new) / i        v_tot = ((i-1) v + v_new + (i-1)/i (m_new - m)^2) / i
    A_new = (r - m_new) / s_new          A_tot = (r - m_tot) / s_tot
    SA_new = (i-1)/i A_new + 1/i A_tot   SA_tot = 1/i A_new + (i-1)/i A_tot       A = the one of smaller magnitude

So a group whose rewards are all equal learns from how it did before. As in the authors' code (lime-RL/DCPO); a
deviation of 0 gives 0.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence

import torch
from torch import Tensor

from reasonrl.algorithms.groups import real
from reasonrl.algorithms.moments import PromptMoments

SMALLEST_STD = 1e-9
"""A smaller deviation comes from rounding: equal rewards such as 1.1 have a mean that differs from them."""


def dcpo_advantages(rewards: Tensor, past: PromptMoments) -> tuple[Tensor, PromptMoments]:
    """Advantages [G] of one group and the moments to keep for its prompt's next visit. Raises ValueError for an empty
    group.
    """
    if not len(rewards):
        raise ValueError("dcpo: a group without rewards")
    values = rewards.double()
    i = past.visits + 1
    new_mean, new_std = float(values.mean()), float(values.std()) if len(values) > 1 else 0.0
    mean = ((i - 1) * past.mean + new_mean) / i
    variance = ((i - 1) * past.std**2 + new_std**2 + (i - 1) / i * (new_mean - past.mean) ** 2) / i
    moments = PromptMoments(i, mean, variance**0.5)
    new = (values - new_mean) / new_std if new_std > SMALLEST_STD else torch.zeros_like(values)
    total = (values - mean) / moments.std if moments.std > SMALLEST_STD else torch.zeros_like(values)
    towards_new = (i - 1) / i * new + total / i
    towards_all = new / i + (i - 1) / i * total
    return torch.where(towards_new.abs() <= towards_all.abs(), towards_new, towards_all).to(rewards.dtype), moments


def remembered_advantages(
    rewards: Tensor,
    group: Tensor,
    judged: Tensor | None = None,
    *,
    problem_id: Sequence[str],
    moments: MutableMapping[str, PromptMoments],
) -> Tensor:
    """Advantages [B] of a batch; 0 for rows that were not judged.

    `moments` holds what is remembered of each prompt, by the id [B] of its problem, and is updated.
    """
    rewards = rewards.to(real(rewards))
    advantages = torch.zeros_like(rewards)
    keep = torch.ones_like(group, dtype=torch.bool) if judged is None else judged
    for g in range(int(group.max()) + 1 if len(group) else 0):
        members = ((group == g) & keep).nonzero()[:, 0]
        if len(members):
            key = problem_id[int(members[0])]
            past = moments.get(key, PromptMoments())
            advantages[members], moments[key] = dcpo_advantages(rewards[members], past)
    return advantages
