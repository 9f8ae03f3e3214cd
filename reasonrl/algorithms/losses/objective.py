"""The objective of one update: policy loss, KL term and entropy bonus over a micro-batch of rows.

    L = sum_t w_t c_t loss_t  -  entropy_coefficient * sum_t w_t H_t  +  kl_coefficient * sum_t w_t KL_t

w are the weights of the loss aggregation, c the mismatch corrections. Pure: it sees log-probs, not a model, so the sum
over micro-batches does not depend on how the rows are cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

import torch
from torch import Tensor

from reasonrl.algorithms.catalogue import DEFAULT_LOSS, LOSSES, ROW_WEIGHT_LOSS
from reasonrl.algorithms.kl import kl_estimate
from reasonrl.algorithms.losses.critique_grpo import critique_grpo_loss
from reasonrl.algorithms.losses.token_loss import token_loss
from reasonrl.algorithms.mismatch import Correction


@dataclass(frozen=True)
class UpdateTensors:
    """What the objective knows of B rows before the forward pass; T tokens of the longest response."""

    advantages: Tensor
    """[B, T]"""
    weights: Tensor
    """[B, T] of the loss aggregation; 0 for tokens that carry no loss."""
    rollout_logprobs: Tensor
    """[B, T] when the tokens were sampled."""
    old_logprobs: Tensor | None = None
    """[B, T] under the policy before the update; None: the present ones (one update a batch, on policy)."""
    ref_logprobs: Tensor | None = None
    """[B, T] under the reference; only for a KL term in the loss."""
    off_policy: Tensor | None = None
    """[B] bool: rows that the policy did not draw (critique-guided refinements)."""

    def select(self, rows: Sequence[int]) -> UpdateTensors:
        """The rows with these indices."""
        index = torch.tensor(list(rows), dtype=torch.long)
        return UpdateTensors(*(None if t is None else t[index] for t in self._tensors()))  # type: ignore[arg-type]

    def narrow(self, width: int, device: torch.device) -> UpdateTensors:
        """The first `width` tokens, on `device`."""
        tensors = (None if t is None else (t[:, :width] if t.dim() > 1 else t).to(device) for t in self._tensors())
        return UpdateTensors(*tensors)  # type: ignore[arg-type]

    def _tensors(self) -> list[Tensor | None]:
        return [getattr(self, item.name) for item in fields(self)]


@dataclass(frozen=True)
class LossTerms:
    """The objective of a micro-batch in its parts, and what was measured on the way."""

    policy: Tensor
    """Scalar."""
    entropy: Tensor
    """Scalar, at most 0: the bonus with its sign."""
    kl: Tensor
    """Scalar."""
    mask: Tensor
    """[B, T] bool: tokens that carried loss."""
    clipped: Tensor
    """[B, T] bool: tokens of `mask` whose bound was active."""
    corrected: Tensor
    """[B, T] bool: tokens of `mask` whose mismatch correction was truncated or 0."""
    drawn: Tensor
    """[B, T] bool: tokens of `mask` that the policy drew unaided."""

    @property
    def total(self) -> Tensor:
        return self.policy + self.entropy + self.kl


@dataclass(frozen=True)
class Objective:
    """The loss of a recipe with its settings. A setting of None leaves the loss its own default."""

    loss: str = DEFAULT_LOSS
    clip_low: float | None = None
    clip_high: float | None = None
    dual_clip: float | None = None
    mirror_beta: float | None = None
    kl_coefficient: float = 0.0
    kl_estimator: Literal["k1", "k2", "k3"] = "k3"
    entropy_coefficient: float = 0.0
    correction: Correction = field(default_factory=Correction)
    refinement_gamma: float = 0.1
    """Critique-GRPO's gamma: the loss of a refinement's token is p / (p + gamma)."""

    @property
    def moves_all_tokens(self) -> bool:
        """A KL term or an entropy bonus moves every token, also those of groups whose rewards are equal."""
        return self.kl_coefficient > 0 or self.entropy_coefficient > 0

    @property
    def token_loss(self) -> str:
        """A loss over the responses of a prompt reaches the tokens as a weight of each row."""
        return ROW_WEIGHT_LOSS if LOSSES[self.loss].level == "group" else self.loss

    def active_tokens(self, batch: UpdateTensors) -> Tensor:
        """[B, T] bool: tokens that can move the policy."""
        return (batch.weights > 0) & (self.moves_all_tokens | (batch.advantages != 0))

    def token_losses(
        self, logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Policy loss [B, T] of each token, and where a bound was active [B, T] (None: this loss has none)."""
        return token_loss(
            self.token_loss,
            logprobs,
            old_logprobs,
            advantages,
            mask,
            clip_low=self.clip_low,
            clip_high=self.clip_high,
            dual_clip=self.dual_clip,
            mirror_beta=self.mirror_beta,
        )

    def terms(self, logprobs: Tensor, entropy: Tensor, batch: UpdateTensors) -> LossTerms:
        """The loss of a micro-batch.

        Args:
            logprobs: [B, T] of the response tokens under the present weights, with gradient.
            entropy: [B, T] of their distributions, with gradient where there is a bonus.
            batch: as wide as `logprobs` and on its device (`UpdateTensors.narrow`).
        """
        weights, mask = batch.weights, batch.weights > 0
        old = logprobs.detach() if batch.old_logprobs is None else batch.old_logprobs
        losses, clipped = self.token_losses(logprobs, old, batch.advantages, mask)
        clipped = torch.zeros_like(mask) if clipped is None else clipped & mask
        drawn = mask
        if batch.off_policy is not None:
            refined = batch.off_policy[:, None]
            guided = critique_grpo_loss(logprobs, batch.advantages, gamma=self.refinement_gamma)
            losses = torch.where(refined, guided, losses)
            clipped, drawn = clipped & ~refined, mask & ~refined
        correction = self.correction.weights(old, batch.rollout_logprobs, mask)
        zero = torch.zeros((), dtype=losses.dtype, device=losses.device)
        policy = (weights * losses if correction is None else weights * correction * losses).sum()
        bonus = kl = zero
        if self.entropy_coefficient > 0:
            bonus = -(self.entropy_coefficient * (weights * entropy).sum())
        if self.kl_coefficient > 0 and batch.ref_logprobs is not None:
            divergence = kl_estimate(logprobs, batch.ref_logprobs, self.kl_estimator)
            kl = self.kl_coefficient * (weights * divergence).sum()
        corrected = torch.zeros_like(mask) if correction is None else self.correction.changed(correction) & mask
        return LossTerms(policy, bonus, kl, mask, clipped, corrected, drawn)
