"""verl's numbers of a step under our names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMES = {
    "loss/policy": "actor/pg_loss",
    "policy/clip_fraction": "actor/pg_clipfrac",
    "optim/grad_norm": "actor/grad_norm",
    "optim/lr": "actor/lr",
    "loss/value": "critic/vf_loss",
}
PHASES = {"time/rollout_s": "gen", "time/update_s": "update_actor"}


def metrics_from_verl(metrics: Mapping[str, Any], seconds: Mapping[str, float], actor: Any) -> dict[str, float]:
    """What verl measured in a step. `actor` is its configuration of the actor; `seconds` its phases."""
    row = {name: float(metrics[key]) for name, key in NAMES.items() if key in metrics}
    if "loss/policy" in row:  # there was something to learn from
        row["loss/kl"] = actor.kl_loss_coef * float(metrics["actor/kl_loss"]) if actor.use_kl_loss else 0.0
        row["loss/entropy"] = (
            -actor.entropy_coeff * float(metrics["actor/entropy_loss"]) if actor.entropy_coeff else 0.0
        )
        row["loss/total"] = row["loss/policy"] + row["loss/kl"] + row["loss/entropy"]
    return row | {name: float(seconds[phase]) for name, phase in PHASES.items() if phase in seconds}
