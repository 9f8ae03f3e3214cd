"""GRPO: a reward against its own group, in units of the group's deviation (DeepSeekMath, arXiv:2402.03300, section
4.1.2).

    A_i = (r_i - mean_g(r)) / (std_g(r) + eps)

std is the unbiased one (n-1), as in verl and TRL; eps is 1e-6 as in verl (TRL: 1e-4). A group of one has no baseline:
as in verl its mean is taken as 0 and its deviation as 1, so A = r. The trainer's filter drops such groups before they
get here. Trap: the division makes a group with one right answer in 64 weigh far more than one with 32 (see dr_grpo).
"""

from __future__ import annotations

from torch import Tensor

from reasonrl.algorithms.groups import group_baseline, group_size, group_std


def grpo_advantages(rewards: Tensor, group: Tensor, judged: Tensor | None = None, *, eps: float = 1e-6) -> Tensor:
    """Advantages [B] from raw or shaped rewards [B], group ordinals [B] and the mask of judged rows [B] (None: all)."""
    centred = rewards - group_baseline(rewards, group, judged)
    deviation = group_std(rewards, group, judged).where(group_size(group, judged) > 1, rewards.new_ones(()))
    advantages = centred / (deviation + eps)
    return advantages if judged is None else advantages.where(judged, advantages.new_zeros(()))
