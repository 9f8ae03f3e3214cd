"""The numbers of one update: what the rollouts were like, and what each method did. `reasonrl.runs.metrics` explains
every name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from reasonrl.algorithms.batch import RolloutBatch
from reasonrl.algorithms.groups import GroupMix, group_mean, group_std
from reasonrl.algorithms.unlikeliness import group_ranks
from reasonrl.recipe.schema import Recipe
from reasonrl.update.methods import mean_logprobs
from reasonrl.update.rollouts import Collected


def rewards_and_rollouts(
    collected: Collected,
    batch: RolloutBatch,
    eligible: Tensor,
    mix: GroupMix,
    outcomes: Counter[str],
    parts: Sequence[str],
) -> dict[str, Any]:
    """Rewards, groups, rollouts and lengths."""
    judged = batch.rewards[batch.judged]
    lengths = batch.token_mask.sum(1).float()
    first_of_group = {g: e.own for g, e in zip(collected.groups, collected.episodes, strict=True)}
    assert batch.rollout_logprobs is not None
    written = batch.loss_mask.sum().clamp(min=1)
    means = {
        f"reward/{name}": _mean([v for e in collected.episodes if (v := e.reward_parts[name]) is not None])
        for name in parts
    }
    return {
        "reward/mean": float(judged.mean()) if len(judged) else 0.0,
        "reward/std": float(judged.std()) if len(judged) > 1 else 0.0,
        **means,
        "accuracy/train": outcomes["correct"] / max(1, outcomes["judged"]),
        "groups/total": mix.total,
        "groups/mixed": mix.mixed,
        "groups/all_correct": mix.all_correct,
        "groups/all_wrong": mix.all_wrong,
        "groups/unjudged": mix.unjudged,
        "rollouts/total": outcomes["total"],
        "rollouts/truncated": outcomes["truncated"],
        "rollouts/unparsed": outcomes["unparsed"],
        "rollouts/timeout": outcomes["timeout"],
        "rollouts/error": outcomes["error"],
        "rollouts/unjudged_share": outcomes["unjudged"] / max(1, outcomes["total"]),
        "rollouts/masked": int((~eligible).sum()),
        "rollouts/effective_share": float(with_signal(batch, eligible).float().mean()),
        "response/tokens_mean": float(lengths.mean()),
        "response/tokens_max": int(lengths.max()),
        # The mean surprise of what was sampled is an unbiased estimate of the entropy, and costs nothing.
        "policy/entropy": float(-(batch.rollout_logprobs * batch.loss_mask).sum() / written),
        "tokens/prompt": sum(len(t.prompt_ids) for t in first_of_group.values()),
        "tokens/response": int(lengths.sum()),
    }


def with_signal(batch: RolloutBatch, eligible: Tensor) -> Tensor:
    """Rows [B] in groups whose rewards differ."""
    return (group_std(batch.rewards, batch.group, eligible) > 0) & eligible


def methods(
    recipe: Recipe,
    collected: Collected,
    batch: RolloutBatch,
    usable: Tensor,
    shaped: Tensor,
    rows: Tensor,
    tokens: Tensor,
) -> dict[str, Any]:
    """What each method that is switched on has done in this step."""
    out: dict[str, Any] = {}
    if recipe.budget.name == "knapsack":
        out |= budget(collected.counts, recipe.budget.low, recipe.budget.high, recipe.rollout.rollouts_per_prompt)
    told = [
        (p, c)
        for p, c in zip(collected.predicted, _success_rates(collected), strict=True)
        if p is not None and c is not None
    ]
    if recipe.rate_source != "history":
        out |= calibration(told)
    if recipe.train.credit == "tempo":
        out |= credit(rows, tokens, batch.loss_mask)
    if recipe.train.unlikeliness is not None or recipe.train.overlong is not None:
        moved = (shaped - batch.rewards)[usable]
        out["shaping/mean"] = float(moved.mean()) if len(moved) else 0.0
    if recipe.train.unlikeliness is not None:
        out["shaping/likelihood_correlation"] = rank_correlation(batch, with_signal(batch, usable))
    return out


def budget(counts: Sequence[int], low: int, high: int, per_prompt: int) -> dict[str, Any]:
    """How the rollouts were given out over the prompts."""
    ordered = sorted(counts)
    return {
        "budget/rollouts_min": ordered[0],
        "budget/rollouts_median": ordered[len(ordered) // 2],
        "budget/rollouts_max": ordered[-1],
        "budget/at_low_share": sum(count == low for count in counts) / len(counts),
        "budget/at_high_share": sum(count == high for count in counts) / len(counts),
        "budget/unspent": per_prompt * len(counts) - sum(counts),
    }


def calibration(told: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """The value model's predictions against the success rates that followed; nothing until it predicts."""
    if not told:
        return {"value/predicted_prompts": 0}
    predicted, actual = (torch.tensor(column, dtype=torch.float64) for column in zip(*told, strict=True))
    error = ((predicted - actual) ** 2).mean()
    spread = ((actual - actual.mean()) ** 2).mean()
    return {
        "value/predicted_prompts": len(told),
        "value/bias": float((predicted - actual).mean()),
        "value/mean_squared_error": float(error),
        "value/explained_variance": float(1 - error / spread) if spread > 0 else 0.0,
    }


def credit(rows: Tensor, tokens: Tensor, mask: Tensor) -> dict[str, Any]:
    """How many tokens are branches, and how much of the credit TEMPO has moved."""
    plain = rows[:, None] * mask
    moved = (tokens - plain).abs()
    return {
        "credit/branching_share": float((moved > 0).sum() / mask.sum().clamp(min=1)),
        "credit/moved_share": float(moved.sum() / plain.abs().sum().clamp(min=1e-9)),
    }


def rank_correlation(batch: RolloutBatch, keep: Tensor) -> float:
    """Spearman's correlation of raw reward and likelihood inside the groups with signal: above 0, likely answers are
    the right ones.
    """
    if int(keep.sum()) < 3:
        return 0.0
    ranks = [group_ranks(values, batch.group, keep)[keep] for values in (batch.rewards, mean_logprobs(batch))]
    group = torch.unique(batch.group[keep], return_inverse=True)[1]
    centred = [values - group_mean(values, group) for values in ranks]
    scale = float((centred[0] ** 2).sum().sqrt() * (centred[1] ** 2).sum().sqrt())
    return float((centred[0] * centred[1]).sum()) / scale if scale > 0 else 0.0


def _success_rates(collected: Collected) -> list[float | None]:
    """Share of right answers among the judged rollouts of each problem."""
    right, judged = [0] * len(collected.problems), [0] * len(collected.problems)
    for g, episode in zip(collected.groups, collected.episodes, strict=True):
        verdict = episode.verdicts["correctness"]
        right[g] += verdict.correct is True
        judged[g] += verdict.correct is not None
    return [r / j if j else None for r, j in zip(right, judged, strict=True)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
