"""Step 10 of an update: the gradient of the objective over all rows of a batch, cut into micro-batches.

The weights of the loss are those of the whole batch, so the cut does not change the gradient. Rows that share
beginnings go through the model as one prefix tree (`reasonrl.models.logprobs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reasonrl.algorithms.catalogue import LOSSES
from reasonrl.algorithms.kl import kl_estimate
from reasonrl.algorithms.losses.objective import LossTerms, Objective, UpdateTensors
from reasonrl.algorithms.mismatch import logprob_gap
from reasonrl.errors import NotFiniteError, TrainingError
from reasonrl.models.logprobs import (
    Packing,
    TokenLogprobs,
    TokenRow,
    forward_and_backward,
    micro_batches,
    response_logprobs,
)
from reasonrl.recipe.schema import Recipe
from reasonrl.user_code.guards import describe_error


@dataclass(frozen=True)
class UpdateBatch:
    """B rows of one optimiser step."""

    rows: list[TokenRow]
    tensors: UpdateTensors

    def select(self, index: Sequence[int]) -> UpdateBatch:
        """The rows with these indices."""
        return UpdateBatch([self.rows[i] for i in index], self.tensors.select(index))


@dataclass(frozen=True)
class ForwardPass:
    """How rows go through the model."""

    temperature: float
    """Of the sampling: log-probs are those of the distribution that the tokens were drawn from."""
    packing: Packing
    positions_per_micro_batch: int
    """Most token positions in memory at once."""

    @classmethod
    def from_recipe(cls, recipe: Recipe, packing: Packing) -> ForwardPass:
        return cls(recipe.rollout.temperature, packing, recipe.train.positions_per_micro_batch)


@dataclass
class UpdateTotals:
    """Sums over the micro-batches of one step of the run; `metrics` makes means of them."""

    policy_loss: float = 0.0
    kl_loss: float = 0.0
    entropy_loss: float = 0.0
    entropy: float = 0.0
    """Nats, over tokens that carried loss."""
    clipped: float = 0.0
    """Tokens whose bound was active."""
    corrected: float = 0.0
    """Tokens whose mismatch correction was truncated or 0."""
    rollout_gap: float = 0.0
    """|log pi_old - log pi_rollout| in nats, over tokens that the policy drew unaided: of one and the same weights."""
    rollout_gap_max: float = 0.0
    kl: float = 0.0
    """k3 to the reference in nats, over tokens that carried loss."""
    tokens: int = 0
    """That carried loss."""
    positions: int = 0
    """Token positions that went through the model."""
    rows: int = 0

    def add(self, terms: LossTerms, new: TokenLogprobs, batch: UpdateTensors, rows: int) -> None:
        """Count one micro-batch of `rows` rows, after its backward pass."""
        logprobs = new.logprobs.detach()
        self.policy_loss += float(terms.policy.detach())
        self.kl_loss += float(terms.kl.detach())
        self.entropy_loss += float(terms.entropy.detach())
        self.entropy += float((new.entropy.detach() * terms.mask).sum())
        self.clipped += float(terms.clipped.sum())
        self.corrected += float(terms.corrected.sum())
        old = logprobs if batch.old_logprobs is None else batch.old_logprobs  # before the first of several updates
        gap, largest = logprob_gap(old, batch.rollout_logprobs, terms.drawn)
        self.rollout_gap += gap
        self.rollout_gap_max = max(self.rollout_gap_max, largest)
        if batch.ref_logprobs is not None:
            self.kl += float((kl_estimate(logprobs, batch.ref_logprobs, "k3") * terms.mask).sum())
        self.tokens += int(terms.mask.sum())
        self.positions += new.positions
        self.rows += rows

    def metrics(self, updates: int = 1, epochs: int = 1) -> dict[str, float]:
        """Losses are means over `updates` optimiser steps; each row was trained on in each of `epochs`."""
        tokens, steps = max(1, self.tokens), max(1, updates)
        return {
            "loss/policy": self.policy_loss / steps,
            "loss/kl": self.kl_loss / steps,
            "loss/entropy": self.entropy_loss / steps,
            "loss/total": (self.policy_loss + self.kl_loss + self.entropy_loss) / steps,
            **({"policy/entropy": self.entropy / self.tokens} if self.tokens else {}),
            "policy/clip_fraction": self.clipped / tokens,
            "policy/rollout_gap": self.rollout_gap / tokens,
            "policy/rollout_gap_max": self.rollout_gap_max,
            "rollouts/trained": self.rows // epochs,
            "tokens/computed": self.positions,
        }


def accumulate_gradients(
    model: Any,
    batch: UpdateBatch,
    objective: Objective,
    forward: ForwardPass,
    totals: UpdateTotals,
    *,
    skip_silent_rows: bool = True,
    seen: Tensor | None = None,
) -> bool:
    """Add the gradient of one optimiser step to the parameters, and its numbers to `totals`. The log-probs of the rows
    that were computed are written into `seen` [B, T], where it is given.

    Returns False when no row can move anything: then there is no step to make. Rows that cannot move anything cost no
    pass through the model, unless `skip_silent_rows` is off.

    Raises NotFiniteError for a loss that is not a number, naming how many rows it was computed on.
    """
    # a module of the user's may have switched gradients off for the whole process
    with torch.enable_grad(), forward_and_backward(model, forward.packing):
        return _accumulate(model, batch, objective, forward, totals, skip_silent_rows=skip_silent_rows, seen=seen)


def _accumulate(
    model: Any,
    batch: UpdateBatch,
    objective: Objective,
    forward: ForwardPass,
    totals: UpdateTotals,
    *,
    skip_silent_rows: bool,
    seen: Tensor | None,
) -> bool:
    places = computed_rows(batch, objective, skip_silent_rows=skip_silent_rows)
    is_active = bool(objective.active_tokens(batch.tensors).any())
    batch = batch.select(places)
    for index in micro_batches(batch.rows, forward.positions_per_micro_batch, forward.packing):
        micro = batch.select(index)
        new = response_logprobs(
            model,
            micro.rows,
            temperature=forward.temperature,
            packing=forward.packing,
            entropy_gradient=objective.entropy_coefficient > 0,
        )
        tensors = micro.tensors.narrow(new.logprobs.shape[1], new.logprobs.device)
        terms = objective.terms(new.logprobs, new.entropy, tensors)
        require_finite(terms.total, len(micro.rows))
        _backward(terms.total, objective.loss)
        totals.add(terms, new, tensors, len(micro.rows))
        if seen is not None:
            logprobs = new.logprobs.detach().float().cpu()
            seen[torch.tensor([places[i] for i in index]), : logprobs.shape[1]] = logprobs
    return is_active


def computed_rows(batch: UpdateBatch, objective: Objective, *, skip_silent_rows: bool) -> list[int]:
    """The rows of a batch that go through the model: with `skip_silent_rows` those that can move it."""
    active = objective.active_tokens(batch.tensors).any(1)
    computed = active if skip_silent_rows else torch.tensor([len(row.response) > 0 for row in batch.rows])
    return [int(place) for place in computed.nonzero()[:, 0]]


def _backward(total: Tensor, loss: str) -> None:
    """Raises TrainingError where the graph of a loss of the user's cannot be followed back."""
    try:
        total.backward()  # type: ignore[no-untyped-call]
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        if isinstance(LOSSES[loss].function, str):
            raise
        raise TrainingError(f"train.loss: {loss}: its gradient cannot be computed: {describe_error(error)}") from error


def require_finite(loss: Tensor, rows: int) -> None:
    """Raises NotFiniteError for a loss over `rows` rows that is not a finite number."""
    if not bool(torch.isfinite(loss)):
        raise NotFiniteError(f"the loss is {float(loss.detach())} on {rows} rows. The weights were not touched")


def score_rows(model: Any, rows: Sequence[TokenRow], forward: ForwardPass) -> Tensor:
    """Log-probs [B, T] of all rows under the present weights, without gradients: the old policy or the reference."""
    return score_rows_with_entropy(model, rows, forward)[0]


def score_rows_with_entropy(model: Any, rows: Sequence[TokenRow], forward: ForwardPass) -> tuple[Tensor, Tensor]:
    """Log-probs and entropies, each [B, T], of all rows under the present weights, without gradients."""
    width = max([len(row.response) for row in rows] + [1])
    logprobs, entropy = torch.zeros(len(rows), width), torch.zeros(len(rows), width)
    with torch.no_grad():
        for index in micro_batches(rows, forward.positions_per_micro_batch, forward.packing):
            scores = response_logprobs(
                model, [rows[i] for i in index], temperature=forward.temperature, packing=forward.packing
            )
            places = torch.tensor(index)
            logprobs[places, : scores.logprobs.shape[1]] = scores.logprobs.float().cpu()
            entropy[places, : scores.entropy.shape[1]] = scores.entropy.float().cpu()
    return logprobs, entropy
