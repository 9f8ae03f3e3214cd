"""What steps 6 to 9 make of the rollouts of a step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reasonrl.algorithms.batch import RolloutBatch
from reasonrl.algorithms.groups import GroupMix


@dataclass(frozen=True)
class PreparedUpdate:
    """Steps 6 to 9 of one update. B rollouts, T tokens of the longest response."""

    batch: RolloutBatch
    correct: Tensor
    """[B] bool: the answer was judged correct."""
    eligible: Tensor
    """[B] bool: judged, and not masked by a rule of the recipe."""
    trainable: Tensor
    """[B] bool: takes part in baselines and loss (6 filter)."""
    shaped_rewards: Tensor
    """[B] KL penalty included (7 shape)."""
    rollout_advantages: Tensor
    """[B] (8 advantage)"""
    token_advantages: Tensor
    """[B, T] before selection: what samples.jsonl keeps (8 advantage)."""
    selected_advantages: Tensor
    """[B, T] what the loss gets (9 select)."""
    groups: GroupMix

    @property
    def loss_mask(self) -> Tensor:
        """[B, T] bool: tokens of trainable rows that carry loss."""
        return self.batch.loss_mask & self.trainable[:, None]

    def updated_tokens(self, *, moves_all_tokens: bool) -> Tensor:
        """[B, T] bool: tokens of `loss_mask` in rows with some advantage, or of all rows where a KL term or an entropy
        bonus moves every token. Rows without either cost no pass through the model.
        """
        moving = self.loss_mask & (moves_all_tokens | (self.selected_advantages != 0))
        return self.loss_mask & moving.any(1)[:, None]


def group_rows(group: Tensor, updates: int) -> list[Tensor]:
    """The rows [B] (bool) of each of `updates` optimiser steps: whole groups, dealt out in turn."""
    if updates == 1:
        return [torch.ones_like(group, dtype=torch.bool)]
    return [group % updates == update for update in range(updates)]
