"""GPG: plain policy gradient, made larger when few rollouts earn anything (arXiv:2504.02546, section 3).

    A_i = alpha * (r_i - mean_g(r)),    alpha = B / (rows with r != 0)

As verl 0.9.1 computes it; the paper pairs it with the loss -A log pi, which is `loss: reinforce` here. A group of one:
baseline 0. Trap: alpha counts rewards that are not 0, so a format part that is nearly always paid switches it off.
"""

from __future__ import annotations

from torch import Tensor

from reasonrl.algorithms.groups import group_baseline, zero_unjudged


def gpg_advantages(rewards: Tensor, group: Tensor, judged: Tensor | None = None) -> Tensor:
    """Advantages [B] from rewards [B], group ordinals [B] and the mask of judged rows [B] (None: all)."""
    judged_rewards = rewards if judged is None else rewards[judged]
    alpha = len(judged_rewards) / max(1, int((judged_rewards != 0).sum()))
    return zero_unjudged(alpha * (rewards - group_baseline(rewards, group, judged)), judged)
