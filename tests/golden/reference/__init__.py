"""The formula of each method, written again in loops over lists: no tensors, and nothing imported from reasonrl.

A reward of None is one that could not be judged. Rows of a prompt share a name in `groups`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.golden.reference import advantages, budgets, credit, critics, curricula, losses, row_losses, selection

ADVANTAGES: dict[str, Callable[..., Any]] = {
    "grpo": advantages.grpo,
    "dr_grpo": advantages.dr_grpo,
    "rloo": advantages.rloo,
    "reinforce_pp": advantages.reinforce_pp,
    "reinforce_pp_baseline": advantages.reinforce_pp_baseline,
    "remax": advantages.remax,
    "opo": advantages.opo,
    "gpg": advantages.gpg,
    "passk": advantages.passk,
    "lite_ppo": advantages.lite_ppo,
    "gdpo": advantages.gdpo,
    "max_rl": advantages.max_rl,
    "shrinkage": advantages.shrinkage,
    "dcpo": advantages.dcpo,
}
TOKEN_LOSSES: dict[str, Callable[..., Any]] = {
    "ppo_clip": losses.ppo_clip,
    "gspo": losses.gspo,
    "cispo": losses.cispo,
    "geometric_mean": losses.geometric_mean,
    "reinforce": losses.reinforce,
    "mirror_descent": losses.mirror_descent,
    "dcpo_clip": losses.dcpo_clip,
}
ROW_LOSSES: dict[str, Callable[..., Any]] = {
    "disco": row_losses.disco,
    "drpo": row_losses.drpo,
    "trpa": row_losses.trpa,
}
OTHERS: dict[str, Callable[..., Any]] = {
    "critique_grpo": losses.critique_grpo,
    "token_weights": losses.token_weights,
    "kl": losses.kl,
    "mismatch": losses.mismatch,
    "trust_region": row_losses.trust_region,
    "tempo": credit.tempo,
    "unlikeliness": credit.unlikeliness,
    "unlikeliness_then_tempo": credit.unlikeliness_then_tempo,
    "overlong": credit.overlong,
    "clip_advantages": selection.clip_advantages,
    "most_spread_rows": selection.most_spread_rows,
    "high_entropy_tokens": selection.high_entropy_tokens,
    "knapsack_value": budgets.knapsack_value,
    "knapsack_cost": budgets.knapsack_cost,
    "knapsack": budgets.knapsack,
    "success_rate": curricula.success_rate,
    "blend": curricula.blend,
    "pcl_select": curricula.pcl_select,
    "value_model": curricula.value_model,
    "dump": curricula.dump,
    "critic_reward": critics.critic_reward,
    "sneaky_reward": critics.sneaky_reward,
    "discrimination": critics.discrimination,
    "refinement_table": critics.refinement_table,
    "process_bench": critics.process_bench,
}
REFERENCES = {**ADVANTAGES, **TOKEN_LOSSES, **ROW_LOSSES, **OTHERS}
DIGITS = 12
"""Decimals that the files hold."""


def expected(method: str, inputs: dict[str, Any]) -> Any:
    """What the formula of `method` gives for `inputs`, rounded to the decimals of the files."""
    return rounded(REFERENCES[method](**inputs))


def rounded(value: Any) -> Any:
    """A value of numbers, lists and mappings with every float rounded; -0.0 becomes 0.0."""
    if isinstance(value, float):
        return round(value, DIGITS) + 0.0
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value
