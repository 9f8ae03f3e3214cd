"""Losses that compare the responses of a prompt (disco, drpo, trpa), brought to the shape of all others: a weight for
each row.

Such a loss is a function L of the rows' scores s_i = mean_t log pi. Its gradient is sum_i dL/ds_i * ds_i/dtheta, so
with A_i = -dL/ds_i * B and sequence_mean weights the plain policy gradient -A log pi has exactly the same gradient,
whatever the micro-batches.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reasonrl.algorithms.batch import RolloutBatch
from reasonrl.algorithms.losses.disco import disco_loss, trust_region
from reasonrl.algorithms.losses.drpo import drpo_loss
from reasonrl.algorithms.losses.trpa import trpa_loss
from reasonrl.recipe.schema import Recipe


def row_advantages(
    recipe: Recipe,
    batch: RolloutBatch,
    usable: Tensor,
    right: Tensor,
    logprobs: Tensor,
    old: Tensor,
    reference: Tensor | None,
) -> Tensor:
    """[B] what to give to the plain policy gradient; 0 for rows that are not usable.

    Args:
        right: [B] whether the answer is correct. logprobs, old, reference: [B, T] under the present policy, the one
        that wrote the rows, and the reference (trpa only).
    """
    rows = usable.nonzero()[:, 0]
    out = torch.zeros(len(usable))
    if not len(rows):
        return out
    mask = batch.loss_mask[rows].float()
    lengths = mask.sum(1)

    def mean(values: Tensor) -> Tensor:
        return (values[rows] * mask).sum(1) / lengths.clamp(min=1)

    scores = mean(logprobs).double().requires_grad_(True)
    group = torch.unique(batch.group[rows], return_inverse=True)[1]
    if recipe.train.loss == "trpa":
        assert reference is not None
        best = sum(part.weight for part in recipe.reward.values() if part.weight > 0)
        loss = trpa_loss(scores - mean(reference).double(), batch.rewards[rows], group, best=best)
    else:
        if recipe.train.loss == "drpo":
            loss = drpo_loss(scores, right[rows], group, lengths, max_length=recipe.rollout.max_new_tokens)
        else:
            loss = disco_loss(scores, right[rows], group)
        loss = loss + trust_region(scores, mean(old).double())
    (gradient,) = torch.autograd.grad(loss, scores)
    out[rows] = (-gradient * len(rows)).float()
    return out
