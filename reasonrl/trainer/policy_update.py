"""Step 10: from advantages to new weights.

The weight of every token in the loss is fixed before the rows are cut into micro-batches, so the gradient does not
depend on the cut. Rows that can move nothing are left out of both passes, but still count in the denominators: skipping
them changes the time, not the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reasonrl.algorithms.kl import kl_estimate
from reasonrl.algorithms.losses import token_loss
from reasonrl.algorithms.losses.critique_grpo import critique_grpo_loss
from reasonrl.errors import TrainingError
from reasonrl.models.logprobs import Packing, TokenRow, response_logprobs
from reasonrl.models.prefix_tree import split_rows
from reasonrl.recipe.methods import GROUP_LOSSES
from reasonrl.recipe.schema import TrainSpec
from reasonrl.update.methods import mismatch_weights


@dataclass(frozen=True)
class UpdateRows:
    """What one optimiser step learns from: B rows, T tokens in the longest response."""

    rows: Sequence[TokenRow]
    advantages: Tensor
    """[B, T]"""
    weights: Tensor
    """[B, T] weight of each token in the loss; 0 where there is none."""
    rollout_logprobs: Tensor
    """[B, T] from the engine."""
    old_logprobs: Tensor | None
    """[B, T]; None when the update is on-policy: then they are the current ones."""
    ref_logprobs: Tensor | None
    """[B, T]; needed for a KL term in the loss."""
    off_policy: Tensor | None = None
    """[B] rows that the policy did not draw (critique-guided refinements); their loss is p / (p + gamma)."""
    gamma: float = 0.1

    def take(self, index: Sequence[int]) -> UpdateRows:
        """The rows at `index`, the tensors cut to them."""
        at = torch.tensor(list(index), dtype=torch.long)
        old, reference, refined = (
            None if t is None else t[at] for t in (self.old_logprobs, self.ref_logprobs, self.off_policy)
        )
        rows = [self.rows[i] for i in index]
        return UpdateRows(
            rows, self.advantages[at], self.weights[at], self.rollout_logprobs[at], old, reference, refined, self.gamma
        )


@dataclass
class UpdateMeasures:
    """Sums over tokens that carried loss; `summary` makes means of them."""

    policy_loss: float = 0.0
    kl_loss: float = 0.0
    entropy_loss: float = 0.0
    clipped: float = 0.0
    rollout_gap: float = 0.0
    rollout_gap_max: float = 0.0
    kl: float = 0.0
    corrected: float = 0.0
    tokens: int = 0
    positions: int = 0
    rows: int = 0

    def summary(self, updates: int = 1, epochs: int = 1) -> dict[str, float]:
        """Losses are means over `updates` optimiser steps; each row was trained on in each of `epochs`."""
        tokens, steps = max(1, self.tokens), max(1, updates)
        return {
            "loss/policy": self.policy_loss / steps,
            "loss/kl": self.kl_loss / steps,
            "loss/entropy": self.entropy_loss / steps,
            "loss/total": (self.policy_loss + self.kl_loss + self.entropy_loss) / steps,
            "policy/clip_fraction": self.clipped / tokens,
            "policy/rollout_gap": self.rollout_gap / tokens,
            "policy/rollout_gap_max": self.rollout_gap_max,
            "rollouts/trained": self.rows // epochs,
            "tokens/computed": self.positions,
        }


def accumulate_gradients(
    model: Any, batch: UpdateRows, spec: TrainSpec, temperature: float, packing: Packing, measures: UpdateMeasures
) -> bool:
    """Add the gradient of one optimiser step to the parameters. False when no row can move anything: then there is no
    step to make.

    Raises TrainingError for a loss that is not a number, naming the rows.
    """
    kl_weight = spec.kl.coefficient if spec.kl.where == "loss" else 0.0
    # A KL term or an entropy bonus moves every token, also those of groups whose rewards are equal.
    moves_all = kl_weight > 0 or spec.entropy_coefficient > 0
    active = (batch.weights > 0) & (moves_all | (batch.advantages != 0))
    live = active.any(1) if spec.skip_silent_groups else torch.tensor([len(row.response) > 0 for row in batch.rows])
    something_moves = bool(active.any())
    batch = batch.take(live.nonzero()[:, 0].tolist())
    full = [[*row.prompt, *row.response] for row in batch.rows]
    for index in split_rows(full, spec.positions_per_micro_batch) if full else []:
        part = batch.take(index)
        made = response_logprobs(
            model, part.rows, temperature=temperature, packing=packing, entropy_gradient=spec.entropy_coefficient > 0
        )
        width = made.logprobs.shape[1]
        device = made.logprobs.device
        weights, advantages = part.weights[:, :width].to(device), part.advantages[:, :width].to(device)
        current = made.logprobs.detach()
        old = current if part.old_logprobs is None else part.old_logprobs[:, :width].to(device)
        mask = weights > 0
        losses, clipped = token_loss(
            loss_name(spec), made.logprobs, old, advantages, mask, clip_low=spec.clip_low, clip_high=spec.clip_high,
            dual_clip=spec.dual_clip, mirror_beta=spec.mirror_beta,
        )  # fmt: skip
        gap = mask
        if part.off_policy is not None:
            refined = part.off_policy.to(device)[:, None]
            losses = torch.where(refined, critique_grpo_loss(made.logprobs, advantages, gamma=part.gamma), losses)
            clipped = None if clipped is None else clipped & ~refined
            gap = mask & ~refined
        corrections = mismatch_weights(spec, old, part.rollout_logprobs[:, :width].to(device), mask)
        loss = policy_loss = (weights * losses if corrections is None else weights * corrections * losses).sum()
        if spec.entropy_coefficient > 0:
            bonus = spec.entropy_coefficient * (weights * made.entropy).sum()
            loss = loss - bonus
            measures.entropy_loss -= float(bonus.detach())
        if part.ref_logprobs is not None:
            reference = part.ref_logprobs[:, :width].to(device)
            if kl_weight > 0:
                penalty = kl_weight * (weights * kl_estimate(made.logprobs, reference, spec.kl.estimator)).sum()
                loss = loss + penalty
                measures.kl_loss += float(penalty.detach())
            measures.kl += float((kl_estimate(current, reference, "k3") * mask).sum())
        if not bool(torch.isfinite(loss)):
            raise TrainingError(
                f"the loss is {float(loss.detach())} on {len(part.rows)} rows. The weights were not touched. "
                "Lower optim.lr, or look at the newest samples: an empty or broken response shows there"
            )
        loss.backward()
        measures.policy_loss += float(policy_loss.detach())
        measures.clipped += 0.0 if clipped is None else float((clipped & mask).sum())
        measures.corrected += 0.0 if corrections is None else float((_cut(spec, corrections) & mask).sum())
        gaps = (current - part.rollout_logprobs[:, :width].to(device)).abs() * gap
        measures.rollout_gap += float(gaps.sum())
        measures.rollout_gap_max = max(measures.rollout_gap_max, float(gaps.max()))
        measures.tokens += int(mask.sum())
        measures.positions += made.positions
        measures.rows += len(part.rows)
    return something_moves


def loss_name(spec: TrainSpec) -> str:
    """A loss over groups reaches the tokens as a weight of each row, by the plain policy gradient."""
    return "reinforce" if spec.loss in GROUP_LOSSES else spec.loss


def _cut(spec: TrainSpec, weights: Tensor) -> Tensor:
    """Where a correction has bitten: a weight that was truncated, or a token that was left out."""
    truncated = (
        weights >= spec.mismatch.cap if spec.mismatch.name == "tis" else torch.zeros_like(weights, dtype=torch.bool)
    )
    return truncated | (weights == 0)


def score_rows(model: Any, rows: Sequence[TokenRow], spec: TrainSpec, temperature: float, packing: Packing) -> Tensor:
    """Log-probs [B, T] of all rows under the present weights, without gradients: the old policy or the reference."""
    return score_rows_with_entropy(model, rows, spec, temperature, packing)[0]


def score_rows_with_entropy(
    model: Any, rows: Sequence[TokenRow], spec: TrainSpec, temperature: float, packing: Packing
) -> tuple[Tensor, Tensor]:
    """Log-probs and entropies, each [B, T], of all rows under the present weights, without gradients."""
    width = max([len(row.response) for row in rows] + [1])
    logprobs, entropy = torch.zeros(len(rows), width), torch.zeros(len(rows), width)
    with torch.no_grad():
        for index in split_rows([[*row.prompt, *row.response] for row in rows], spec.positions_per_micro_batch):
            made = response_logprobs(model, [rows[i] for i in index], temperature=temperature, packing=packing)
            at = torch.tensor(index)
            logprobs[at, : made.logprobs.shape[1]] = made.logprobs.float().cpu()
            entropy[at, : made.entropy.shape[1]] = made.entropy.float().cpu()
    return logprobs, entropy
