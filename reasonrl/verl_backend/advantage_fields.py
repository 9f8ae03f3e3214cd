"""What the steps 6 to 9 of an update give to verl's actor and value head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from reasonrl.algorithms.losses.objective import Objective
from reasonrl.algorithms.mismatch import logprob_gap
from reasonrl.update.prepared import PreparedUpdate


def advantage_fields(prepared: PreparedUpdate, objective: Objective, old_logprobs: Tensor) -> dict[str, Tensor]:
    """Fields [B, T] for TransferQueue. `old_logprobs` [B, T] are those of the actor before the update.

    The masks are those of the value head, which learns from all judged rows; the actor's is put there when it is its
    turn (`PreparedUpdate.loss_mask`).
    """
    batch = prepared.batch
    judged = batch.loss_mask & batch.judged[:, None]
    fields = {
        "advantages": prepared.selected_advantages,
        # A value head is to expect the raw reward of everything that was judged: what a filter leaves out is no less
        # likely.
        "returns": (batch.rewards[:, None] * judged).float(),
        "response_mask": judged.long(),
        "loss_mask": judged.long(),
    }
    weights = objective.correction.weights(old_logprobs, batch.rollout_logprobs, prepared.loss_mask)
    return fields if weights is None else fields | {"rollout_is_weights": weights}


def update_metrics(prepared: PreparedUpdate, objective: Objective, scores: Mapping[str, Tensor]) -> dict[str, Any]:
    """What the local trainer measures during its update, from the log-probs and entropies [B, T] that verl's actor
    computed before it.
    """
    mask = prepared.updated_tokens(moves_all_tokens=objective.moves_all_tokens)
    tokens = int(mask.sum())
    gap, largest = logprob_gap(scores["old_log_probs"], prepared.batch.rollout_logprobs, mask)
    return {
        "rollouts/trained": int(mask.any(1).sum()),
        **({"policy/entropy": float((scores["entropy"] * mask).sum() / tokens)} if tokens else {}),
        "policy/rollout_gap": gap / max(1, tokens),
        "policy/rollout_gap_max": largest,
    }
