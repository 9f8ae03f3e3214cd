"""DRPO: DisCO whose right responses weigh more the shorter they are (decoupled reward, arXiv:2510.04474, eq. 9 and 10).

    w_i  = softmax over the right responses of a prompt of -length_i / (max_length * temperature)
    loss = mean_q [ -sum_right w s + tau log mean_wrong(exp(s / tau)) ]  +  DisCO's trust region

A length penalty inside a group-normalised reward can push a right but long response below zero; here a right one is
never pushed down. temperature 0.1, tau 10 as in the authors' code.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reasonrl.algorithms.length import short_success_weights
from reasonrl.algorithms.losses.disco import disco_loss, trust_region
from reasonrl.algorithms.losses.scored_rows import ScoredRows


def drpo_loss(
    scores: Tensor,
    right: Tensor,
    group: Tensor,
    lengths: Tensor,
    *,
    max_length: int,
    temperature: float = 0.1,
    tau: float = 10.0,
) -> Tensor:
    """The scalar loss from scores [B], right or wrong [B], group ordinals [B] and lengths [B] in tokens. Differentiable
    in `scores`.
    """
    weights = torch.zeros_like(scores)
    for g in range(int(group.max()) + 1 if len(group) else 0):
        good = (group == g) & right
        if bool(good.any()):
            weights[good] = short_success_weights(lengths[good].to(scores.dtype) / max_length, temperature=temperature)
    return disco_loss(scores, right, group, tau=tau, weights=weights)


def drpo_row_loss(rows: ScoredRows) -> Tensor:
    """The scalar loss of `rows`, DisCO's trust region included."""
    loss = drpo_loss(rows.scores, rows.correct, rows.group, rows.lengths, max_length=rows.max_length)
    return loss + trust_region(rows.scores, rows.old_scores)
