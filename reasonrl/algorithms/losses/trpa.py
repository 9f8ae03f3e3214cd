"""TRPA: preferences between the responses of a prompt, ordered by rules (arXiv:2504.04524).

    h_ij = beta (lr_i - lr_j),  lr = mean_t(log pi - log pi_ref)           for every pair where i is better than j
    loss = mean over pairs of -log sigmoid(h_ij),   h times 2.5 where i is of the best level

As in the authors' code (597358816 / XueruiSu); they add 0.001 * k3(new, old) as a trust region, which is `kl` in a
recipe here. Groups without a pair add nothing. beta 0.1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from reasonrl.algorithms.losses.scored_rows import ScoredRows

BEST_LEVEL_FACTOR = 2.5


def trpa_loss(log_ratios: Tensor, rewards: Tensor, group: Tensor, *, beta: float = 0.1, best: float = 1.0) -> Tensor:
    """The scalar loss from mean log-ratios to the reference [B], rewards [B] (the levels) and group ordinals [B].

    `best` is the reward of the best level. Differentiable in `log_ratios`.
    """
    better = (group[:, None] == group[None, :]) & (rewards[:, None] > rewards[None, :])
    first, second = better.nonzero(as_tuple=True)
    if not len(first):
        return log_ratios.sum() * 0.0
    factor = torch.where(rewards[first] >= best, BEST_LEVEL_FACTOR, 1.0)
    return -F.logsigmoid(beta * factor * (log_ratios[first] - log_ratios[second])).mean()


def trpa_row_loss(rows: ScoredRows) -> Tensor:
    """The scalar loss of `rows`, whose rewards are the levels. Raises ValueError without scores of a reference."""
    if rows.ref_scores is None:
        raise ValueError("trpa: needs the reference log-probs of the rows, which are missing")
    return trpa_loss(rows.scores - rows.ref_scores, rows.rewards, rows.group, best=rows.best_reward)
