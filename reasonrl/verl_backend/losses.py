"""Step 10 in verl's actor: our losses over tokens, summed as verl sums its own.

The corrections of `train.mismatch` come as `rollout_is_weights`, made in the trainer; normalisers of the whole batch
come with the actor's config, so the cut into micro-batches does not change the gradient.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from verl.trainer.ppo.core_algos import agg_loss, register_policy_loss

from reasonrl.update.objective import objective_of
from reasonrl.verl_backend.stage import verl_stage

NAME = "reasonrl"


@register_policy_loss(NAME)
def reasonrl_loss(
    old_log_prob: Tensor,
    log_prob: Tensor,
    advantages: Tensor,
    response_mask: Tensor,
    loss_agg_mode: str = "token-mean",
    config: Any = None,
    rollout_is_weights: Tensor | None = None,
) -> tuple[Tensor, dict[str, Any]]:
    """All [B, T]. Returns the loss of the micro-batch and the share of tokens that were clipped."""
    objective = objective_of(verl_stage().recipe)
    losses, clipped = objective.token_losses(log_prob, old_log_prob, advantages, response_mask.bool())
    if rollout_is_weights is not None:
        losses = losses * rollout_is_weights
    loss = agg_loss(loss_mat=losses, loss_mask=response_mask, loss_agg_mode=loss_agg_mode, **config.global_batch_info)
    share = 0.0 if clipped is None else float((clipped & response_mask.bool()).sum() / response_mask.sum().clamp(min=1))
    return loss, {"actor/pg_clipfrac": share}
