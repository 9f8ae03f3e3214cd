"""Losses over the responses of a prompt, brought to the shape of all others: a weight of each row.

Such a loss is a function L of the rows' scores s_i = mean_t log pi. Its gradient is sum_i dL/ds_i * ds_i/dtheta, so
with A_i = -dL/ds_i * B and sequence_mean weights the plain policy gradient -A log pi has exactly the same gradient,
whatever the micro-batches.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reasonrl.algorithms.batch import RolloutBatch
from reasonrl.algorithms.catalogue import LOSSES
from reasonrl.algorithms.losses.scored_rows import ScoredRows
from reasonrl.errors import TrainingError


def row_weights(
    loss: str,
    batch: RolloutBatch,
    trainable: Tensor,
    correct: Tensor,
    *,
    logprobs: Tensor,
    old_logprobs: Tensor,
    ref_logprobs: Tensor | None,
    max_length: int,
    best_reward: float,
) -> Tensor:
    """[B] the advantages that give the plain policy gradient the gradient of `loss`; 0 for rows that are not trained.

    Args:
        loss: a name of level "group" in the catalogue.
        trainable, correct: [B] bool: rows that take part, and whose answer is correct.
        logprobs, old_logprobs, ref_logprobs: [B, T] under the present policy, the one that wrote the rows, and the
            reference (where the loss asks for one).
        max_length: longest response that the recipe allows, in tokens.
        best_reward: reward of a response with nothing left to improve.
    """
    rows = trainable.nonzero()[:, 0]
    weights = torch.zeros(len(trainable))
    if not len(rows):
        return weights
    mask = batch.loss_mask[rows].float()
    lengths = mask.sum(1)

    def mean(values: Tensor) -> Tensor:
        return (values[rows] * mask).sum(1) / lengths.clamp(min=1)

    scores = mean(logprobs).double().requires_grad_(True)
    scored = ScoredRows(
        scores=scores,
        old_scores=mean(old_logprobs).double(),
        ref_scores=None if ref_logprobs is None else mean(ref_logprobs).double(),
        correct=correct[rows],
        rewards=batch.rewards[rows],
        group=torch.unique(batch.group[rows], return_inverse=True)[1],
        lengths=lengths,
        max_length=max_length,
        best_reward=best_reward,
    )
    total = LOSSES[loss].load()(scored)
    if not isinstance(total, torch.Tensor) or total.ndim or not total.requires_grad:
        shape = list(total.shape) if isinstance(total, torch.Tensor) else type(total).__name__
        raise TrainingError(
            f"train.loss: {loss} must return one number, a tensor of shape [] computed from `scores`, not"
            f" {shape}{'' if shape else ' without a gradient'}"
        )
    (gradient,) = torch.autograd.grad(total, scores)
    weights[rows] = (-gradient * len(rows)).float()
    return weights
