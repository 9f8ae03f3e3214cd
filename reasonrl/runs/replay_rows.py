"""The rows of samples.jsonl as a replay needs them: step by step, checked, and divided into the rounds of a refill."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from reasonrl.algorithms.batch import RolloutBatch
from reasonrl.algorithms.groups import group_mix
from reasonrl.errors import RecipeError, UsageError
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.reading import Row, Run
from reasonrl.runs.sample_fields import sample_mistake
from reasonrl.runs.samples import SampleFilter, refuse_torn
from verifiers.types import Problem

UNKNOWN_KIND = "unknown"
_REQUIRED = (
    "prompt", "reference", "response", "finish_reason", "response_ids", "logprobs", "reward", "reward_parts",
    "verdicts", "advantage",
)  # fmt: skip


def saved_steps(run: Run) -> Iterator[tuple[int, list[Row]]]:
    """Each step with its training rows. Raises UsageError where there are none, or one lacks what a replay needs."""
    refuse_torn(run.samples.path)
    wanted = SampleFilter(kind="train")
    keys = [key for key in run.samples.scan() if wanted.takes(key)]
    if not keys:
        raise UsageError(f"{run.path} has no training samples to replay; name a run that has trained")
    for step, members in itertools.groupby(keys, key=lambda key: key.step):
        step_keys = list(members)
        rows = list(run.samples.read(step_keys))
        if "group" not in rows[0]:
            raise UsageError(
                f"{run.path}: its samples were written by an older version and lack the groups that a replay needs"
            )
        for key, row in zip(step_keys, rows, strict=True):
            if mistake := _mistake(row):
                place = f"{run.samples.path}, row {run.samples.row_number(key.offset)}"
                raise UsageError(f"{place}: {mistake}, which a replay needs. The file is damaged: restore that row")
        yield step, rows


def _mistake(row: Row) -> str:
    if mistake := sample_mistake(row, ("group", *_REQUIRED)):
        return mistake
    if row["advantage"] is None:
        return "its field 'advantage' is null, not a number"
    if None in row["logprobs"]:
        return "its field 'logprobs' holds null, not numbers"
    if not row["verdicts"] or "correctness" not in row["verdicts"]:
        return "its field 'verdicts' lacks 'correctness'"
    return "" if row["reward_parts"] else "its field 'reward_parts' is empty"


def problem_of(row: Row) -> Problem:
    """As the run saved it; its kind is `UNKNOWN_KIND` in samples of an older version."""
    return Problem(
        id=row["problem_id"],
        prompt=row["prompt"],
        kind=row.get("problem_kind", UNKNOWN_KIND),
        reference=row["reference"],
        source=str(row.get("source", "")),
        meta={},
    )


def batch_of(weights: Mapping[str, float], rows: Sequence[Row]) -> tuple[RolloutBatch, list[float | None]]:
    """The rows of a step as the algorithms see them, and the rewards of the rows, summed again from the parts as
    `rewards.base.total_reward` does.
    """
    rewards: list[float | None] = []
    for row in rows:
        missing = [name for name in weights if name not in row["reward_parts"]]
        if missing:
            raise RecipeError(
                f"reward.{missing[0]}: the samples of this run lack this part; choose from"
                f" {', '.join(row['reward_parts'])}"
            )
        rewards.append(_total(weights, row["reward_parts"]))
    batch = RolloutBatch.from_rows(
        problem_id=[row["problem_id"] for row in rows],
        group=[row["group"] for row in rows],
        token_ids=[row["response_ids"] for row in rows],
        loss_mask=[_loss_mask(row) for row in rows],
        logprobs=[row["logprobs"] for row in rows],
        rewards=rewards,
        reward_parts={name: [row["reward_parts"].get(name) for row in rows] for name in weights},
        off_policy=[is_off_policy(row) for row in rows],
    )
    return batch, rewards


def _total(weights: Mapping[str, float], parts: Mapping[str, float | None]) -> float | None:
    total = 0.0
    for name, weight in weights.items():
        value = parts[name]
        if value is None and weight != 0:
            return None
        total += weight * (value or 0.0)
    return total


def saved_rewards(rows: Sequence[Row]) -> Tensor:
    """[B] as the run had them; NaN where they could not be judged."""
    return torch.tensor([math.nan if row["reward"] is None else float(row["reward"]) for row in rows])


def correct(rows: Sequence[Row]) -> Tensor:
    """[B] bool: judged correct."""
    return torch.tensor([row["verdicts"]["correctness"]["correct"] is True for row in rows])


def not_truncated(rows: Sequence[Row], recipe: Recipe) -> Tensor:
    """[B] bool: not masked by `train.mask_truncated`."""
    masks = recipe.train.mask_truncated
    return torch.tensor([not masks or row["finish_reason"] != "length" for row in rows])


def is_off_policy(row: Row) -> bool:
    """Whether the row is a refinement, which no budget counts and no history sees."""
    return bool(row.get("off_policy", False))


def rounds_of(rows: Sequence[Row], saved: Recipe) -> list[list[int]]:
    """The groups of a step by the round that drew them: `train.refill` of the run asks after each round for as many
    prompts as groups lack signal, as `UpdatePipeline.prompts_wanted` does. Call it before verdicts are changed.

    Args:
        saved: the recipe that the run had.
    """
    wanted, refill = saved.train.prompts_per_step, saved.train.refill
    left = sorted({row["group"] for row in rows})
    if not refill.enabled:
        return [left]
    rewards = saved_rewards(rows)
    eligible = ~torch.isnan(rewards) & not_truncated(rows, saved)
    group = torch.tensor([row["group"] for row in rows])
    answers = correct(rows)
    rounds: list[list[int]] = []
    while left and wanted > 0 and len(rounds) <= refill.max_rounds:
        rounds.append(left[:wanted])
        left = left[wanted:]
        seen = group <= rounds[-1][-1]
        mix = group_mix(rewards[seen].nan_to_num(0.0), answers[seen], group[seen], eligible[seen])
        wanted = saved.train.prompts_per_step - mix.mixed
    return [*rounds, left] if left else rounds


def _loss_mask(row: Row) -> list[bool]:
    """Which tokens the policy wrote: all, where the row does not say."""
    return [bool(mask) for mask in row.get("loss_mask", [True] * len(row["response_ids"]))]
