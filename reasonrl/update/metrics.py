"""The numbers of one update: what the rollouts were like, and what each method did. `reasonrl.runs.metric_registry`
explains every name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from reasonrl.algorithms.batch import RolloutBatch, mean_logprobs
from reasonrl.algorithms.groups import group_mean, group_std
from reasonrl.algorithms.unlikeliness import group_ranks
from reasonrl.recipe.schema import Recipe
from reasonrl.update.prepared import PreparedUpdate
from reasonrl.update.rollouts import StepRollouts


def rollout_metrics(
    rollouts: StepRollouts, prepared: PreparedUpdate, outcomes: Counter[str], parts: Sequence[str]
) -> dict[str, Any]:
    """Rewards, groups, rollouts and lengths. `parts` are the names of the reward parts."""
    batch, groups = prepared.batch, prepared.groups
    judged = batch.rewards[batch.judged]
    lengths = batch.loss_mask.sum(1).float()
    trajectories = [episode.trained_trajectory for episode in rollouts.episodes]
    prompts = {g: e.trained_trajectory for g, e in zip(rollouts.groups, rollouts.episodes, strict=True)}
    policy_tokens = batch.loss_mask.sum().clamp(min=1)
    # Where nothing could be judged there is no mean: the numbers are left out, not 0.
    spread = float(judged.std()) if len(judged) > 1 else 0.0
    rewards = {"reward/mean": float(judged.mean()), "reward/std": spread} if len(judged) else {}
    values = {name: _judged_values(rollouts, name) for name in parts}
    part_means = {f"reward/{name}": sum(column) / len(column) for name, column in values.items() if column}
    refined = {} if batch.off_policy is None else {"rollouts/refined": int(batch.off_policy.sum())}
    return {
        **rewards,
        **part_means,
        **({"accuracy/train": outcomes["correct"] / outcomes["judged"]} if outcomes["judged"] else {}),
        "groups/total": groups.total,
        "groups/mixed": groups.mixed,
        "groups/all_correct": groups.all_correct,
        "groups/all_wrong": groups.all_wrong,
        "groups/unjudged": groups.unjudged,
        "rollouts/total": outcomes["total"],
        "rollouts/truncated": outcomes["truncated"],
        "rollouts/unparsed": outcomes["unparsed"],
        "rollouts/timeout": outcomes["timeout"],
        "rollouts/error": outcomes["error"],
        "rollouts/unjudged_share": outcomes["unjudged"] / max(1, outcomes["total"]),
        "rollouts/masked": int((~prepared.eligible).sum()),
        "rollouts/effective_share": float(with_signal(batch, prepared.eligible).float().mean()),
        **refined,
        "response/tokens_mean": float(lengths.mean()),
        "response/tokens_max": int(lengths.max()),
        "response/turns": sum(t.policy_turns for t in trajectories) / len(trajectories),
        "response/environment_tokens": sum(len(t.response_ids) - t.policy_tokens for t in trajectories)
        / len(trajectories),
        # An unbiased estimate of the entropy at the sampling temperature that needs no pass through the model.
        "policy/surprise": float(-(batch.rollout_logprobs * batch.loss_mask).sum() / policy_tokens),
        "tokens/prompt": sum(len(trajectory.prompt_ids) for trajectory in prompts.values()),
        "tokens/response": int(batch.token_mask.sum()),
    }


def with_signal(batch: RolloutBatch, eligible: Tensor) -> Tensor:
    """[B] bool: rows in groups whose rewards differ."""
    return (group_std(batch.rewards, batch.group, eligible) > 0) & eligible


def method_metrics(recipe: Recipe, rollouts: StepRollouts, prepared: PreparedUpdate) -> dict[str, Any]:
    """What each method that is switched on did in this step."""
    batch, train, metrics = prepared.batch, recipe.train, dict[str, Any]()
    if recipe.budget.name == "knapsack":
        metrics |= budget_metrics(
            rollouts.counts, recipe.budget.low, recipe.budget.high, recipe.rollout.rollouts_per_prompt
        )
    if recipe.rate_source != "history":
        rates = zip(rollouts.predicted, _success_rates(rollouts), strict=True)
        metrics |= calibration_metrics([(p, rate) for p, rate in rates if p is not None and rate is not None])
    if train.credit == "tempo":
        metrics |= credit_metrics(prepared.rollout_advantages, prepared.token_advantages, batch.loss_mask)
    if train.unlikeliness is not None or train.overlong is not None:
        moved = (prepared.shaped_rewards - batch.rewards)[prepared.trainable]
        metrics["shaping/mean"] = float(moved.mean()) if len(moved) else 0.0
    if train.unlikeliness is not None:
        metrics["shaping/likelihood_correlation"] = rank_correlation(batch, with_signal(batch, prepared.trainable))
    return metrics


def budget_metrics(counts: Sequence[int], low: int, high: int, per_prompt: int) -> dict[str, Any]:
    """How the rollouts were given out over the prompts. `counts` are those of each prompt, `per_prompt` their mean."""
    ordered = sorted(counts)
    return {
        "budget/rollouts_min": ordered[0],
        "budget/rollouts_median": ordered[len(ordered) // 2],
        "budget/rollouts_max": ordered[-1],
        "budget/at_low_share": sum(count == low for count in counts) / len(counts),
        "budget/at_high_share": sum(count == high for count in counts) / len(counts),
        "budget/unspent": per_prompt * len(counts) - sum(counts),
    }


def calibration_metrics(rates: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """The value model against what followed. `rates` are (predicted, actual) success rates; empty until it predicts."""
    if not rates:
        return {"value/predicted_prompts": 0}
    predicted, actual = (torch.tensor(column, dtype=torch.float64) for column in zip(*rates, strict=True))
    error = ((predicted - actual) ** 2).mean()
    spread = ((actual - actual.mean()) ** 2).mean()
    return {
        "value/predicted_prompts": len(rates),
        "value/bias": float((predicted - actual).mean()),
        "value/mean_squared_error": float(error),
        "value/explained_variance": float(1 - error / spread) if spread > 0 else 0.0,
    }


def credit_metrics(rollout_advantages: Tensor, token_advantages: Tensor, mask: Tensor) -> dict[str, Any]:
    """How many tokens are branches, and how much of the credit TEMPO has moved: from advantages [B] of rollouts and
    [B, T] of tokens, and the loss mask [B, T].
    """
    plain = rollout_advantages[:, None] * mask
    moved = (token_advantages - plain).abs()
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


def _success_rates(rollouts: StepRollouts) -> list[float | None]:
    """Share of right answers among the judged rollouts of each problem."""
    correct, judged = [0] * len(rollouts.problems), [0] * len(rollouts.problems)
    for g, episode in zip(rollouts.groups, rollouts.episodes, strict=True):
        verdict = episode.verdicts["correctness"]
        correct[g] += verdict.correct is True
        judged[g] += verdict.correct is not None
    return [c / j if j else None for c, j in zip(correct, judged, strict=True)]


def _judged_values(rollouts: StepRollouts, part: str) -> list[float]:
    values = [episode.reward_parts[part] for episode in rollouts.episodes]
    return [value for value in values if value is not None]
