"""What would the rewards, advantages and budgets of a saved run have been under other settings? No model is needed.

Each step of samples.jsonl is taken through steps 4 to 9 of an update again, with the recipe of the run and overrides
laid over it. The rollouts stay what they were: this answers "what would this method have made of them", not "what would
the run have become". Budgets are replayed from the history that the run itself saw, a whole step at once (the trainer
gives out each round of a refill by itself). A value model needs the policy; a recipe with one is replayed from the
history.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reasonrl.algorithms.advantages import ADVANTAGES
from reasonrl.algorithms.batch import RolloutBatch, length_mask, pad_rows
from reasonrl.algorithms.groups import group_mix, group_std
from reasonrl.errors import RecipeError, UsageError
from reasonrl.recipe.reading import load_recipe
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.scoring import settled
from reasonrl.runs.reading import Run
from reasonrl.update.methods import STATEFUL, Methods
from verifiers.loading import load_verifier
from verifiers.types import Problem

Row = dict[str, Any]


@dataclass(frozen=True)
class ReplayedStep:
    """One update, as it was and as it would have been."""

    step: int
    rollouts: int
    reward: float
    """Mean raw reward of the judged rollouts, as it was, and as it would have been."""
    replayed_reward: float
    verdicts_changed: int
    mixed: int
    replayed_mixed: int
    groups: int
    advantage: float
    """Mean |advantage| over all rollouts, as it was, and as it would have been."""
    replayed_advantage: float
    correlation: float | None
    """Of the old advantages with the new ones; None where one side is constant."""
    effective_share: float
    """Rollouts in groups with signal, under the replayed rewards."""
    budgets: list[int]
    """What each prompt got."""
    replayed_budgets: list[int]
    """What it would have got, by what was known of it then."""


@dataclass
class Replay:
    run: str
    overrides: list[str]
    notes: list[str] = field(default_factory=list)
    steps: list[ReplayedStep] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    """The sample rows with `reward`, `shaped_reward`, `advantage` and, with credit, `token_advantages` as replayed."""


def replay(run_dir: Path, overrides: list[str]) -> Replay:
    """Replays every step of a run. Raises UsageError for a run without what is needed, RecipeError for overrides that
    make no sense.
    """
    run = Run.open(run_dir)
    recipe = load_recipe(str(run_dir / "recipe.yaml"), overrides).stages[0]
    if recipe.kind != "rl":
        raise UsageError(f"{run_dir} is a supervised stage: it has no rewards to replay")
    if recipe.train.kl.where == "reward" and recipe.train.kl.coefficient > 0:
        raise RecipeError(
            "train.kl: a KL penalty in the reward needs the model; write train.kl.coefficient=0 to replay without it"
        )
    if recipe.train.advantage == "remax":
        raise RecipeError("train.advantage: remax needs the greedy responses, which are not among the samples")
    if recipe.train.d3s is not None:
        raise RecipeError(
            "train.d3s: needs the entropy of each token, which the samples do not hold; write train.d3s=null"
        )
    known = [*ADVANTAGES, *STATEFUL]
    if recipe.train.advantage not in known:
        raise RecipeError(f"train.advantage: '{recipe.train.advantage}' is not known; choose one of {', '.join(known)}")
    out = Replay(str(run_dir), overrides)
    if recipe.rate_source != "history":
        out.notes.append("success rates: no model is at hand, so they come from the history alone")
        recipe = recipe.model_copy(
            update={"success_rates": recipe.success_rates.model_copy(update={"source": "history"})}
        )
    steps = list(_steps(run))
    problems = {row["problem_id"]: _problem(row) for _, rows in steps for row in rows}
    methods = Methods(recipe.model_copy(update={"curriculum": type(recipe.curriculum)()}), list(problems.values()), 0)
    judged_again = any(text.startswith(("verifier", "train.on_timeout")) for text in overrides)
    verifier = load_verifier(recipe.verifier.name, **recipe.verifier.options) if judged_again else None
    for step, rows in steps:
        changed = _judge_again(rows, verifier, recipe.train.on_timeout)
        out.steps.append(
            _replay_step(recipe, methods, step, rows, changed, [problems[row["problem_id"]] for row in rows], out.rows)
        )
    return out


def _steps(run: Run) -> Iterator[tuple[int, list[Row]]]:
    from reasonrl.runs.reading import read_rows

    rows = (row for row in read_rows(run.path / "samples.jsonl", ("kind", "step")) if row["kind"] == "train")
    found = False
    for step, group in itertools.groupby(rows, key=lambda row: int(row["step"])):
        found = True
        members = list(group)
        if "group" not in members[0]:
            raise UsageError(
                f"{run.path}: its samples were written by an older version, without the groups that a replay needs"
            )
        yield step, members
    if not found:
        raise UsageError(f"{run.path}: no training samples to replay")


def _problem(row: Row) -> Problem:
    return Problem(
        id=row["problem_id"],
        prompt=row["prompt"],
        kind="math",
        reference=row["reference"],
        source=str(row.get("source", "")),
        meta={},
    )


def _judge_again(rows: list[Row], verifier: Any, on_timeout: str) -> int:
    """Verdicts of correctness under another verifier. Returns how many changed."""
    if verifier is None:
        return 0
    changed = 0
    made = verifier.verify([row["response"] for row in rows], [row["reference"] for row in rows])
    for row, verdict in zip(rows, (settled(verdict, on_timeout) for verdict in made), strict=True):
        changed += row["verdicts"]["correctness"]["correct"] is not verdict.correct
        row["verdicts"]["correctness"] = verdict.to_dict()
        row["reward_parts"]["correctness"] = verdict.score
    return changed


def _replay_step(
    recipe: Recipe, methods: Methods, step: int, rows: list[Row], changed: int, problems: list[Problem], keep: list[Row]
) -> ReplayedStep:
    batch = _batch(recipe, rows)
    right = torch.tensor([row["verdicts"]["correctness"]["correct"] is True for row in rows])
    eligible: Tensor = batch.judged
    if recipe.train.mask_truncated:
        eligible = eligible & torch.tensor([row["finish_reason"] != "length" for row in rows])
    first = {group: i for i, group in reversed(list(enumerate(batch.group.tolist())))}
    members = [(batch.group == g).nonzero()[:, 0].tolist() for g in sorted(first)]
    asked = [problems[rows_of[0]] for rows_of in members]
    replayed_budgets = methods.allot(asked)
    verdicts = [[rows[i]["verdicts"]["correctness"]["correct"] for i in rows_of] for rows_of in members]
    methods.observe(asked, [[correct is True for correct in group if correct is not None] for group in verdicts])
    usable = methods.usable(batch, eligible)
    shaped = methods.shape(batch, usable)
    row_values, tokens = methods.advantages(batch, shaped, usable)
    was = torch.tensor([float(row["advantage"]) for row in rows])
    old = [row["reward"] for row in rows]
    everything = zip(
        rows,
        batch.rewards.tolist(),
        shaped.tolist(),
        row_values.tolist(),
        tokens.tolist(),
        batch.judged.tolist(),
        strict=True,
    )
    for row, reward, shaped_reward, value, credit, judged in everything:
        row["reward"], row["shaped_reward"], row["advantage"] = (
            reward if judged else None,
            shaped_reward if judged else None,
            value,
        )
        if recipe.train.credit != "none":
            row["token_advantages"] = [round(v, 6) for v in credit[: len(row["response_ids"])]]
        keep.append(row)
    signal = (group_std(batch.rewards, batch.group, eligible) > 0) & eligible
    was_judged = torch.tensor([reward is not None for reward in old])
    old_rewards = torch.tensor([float(reward or 0.0) for reward in old])
    old_mix = group_mix(old_rewards, right, batch.group, was_judged & (eligible | ~batch.judged))
    return ReplayedStep(
        step=step,
        rollouts=len(rows),
        reward=_mean_of(old_rewards, was_judged),
        replayed_reward=_mean_of(batch.rewards, batch.judged),
        verdicts_changed=changed,
        mixed=old_mix.mixed,
        replayed_mixed=group_mix(batch.rewards, right, batch.group, eligible).mixed,
        groups=len(members),
        advantage=float(was.abs().mean()),
        replayed_advantage=float(row_values.abs().mean()),
        correlation=_correlation(was, row_values),
        effective_share=float(signal.float().mean()),
        budgets=[len(rows_of) for rows_of in members],
        replayed_budgets=replayed_budgets,
    )


def _batch(recipe: Recipe, rows: list[Row]) -> RolloutBatch:
    """The rows of a step as the algorithms see them, their rewards summed anew from the parts."""
    weights = {name: part.weight for name, part in recipe.reward.items()}
    rewards: list[float | None] = []
    for row in rows:
        parts = {name: row["reward_parts"].get(name) for name in weights}
        missing = [name for name in weights if name not in row["reward_parts"]]
        if missing:
            raise RecipeError(
                f"reward.{missing[0]}: the samples of this run have no such part; they have"
                f" {', '.join(row['reward_parts'])}"
            )
        undecided = any(value is None and weights[name] != 0 for name, value in parts.items())
        rewards.append(None if undecided else sum(weights[name] * (value or 0.0) for name, value in parts.items()))
    lengths = [len(row["response_ids"]) for row in rows]
    mask = length_mask(lengths)
    return RolloutBatch(
        problem_id=[row["problem_id"] for row in rows],
        group=torch.tensor([int(row["group"]) for row in rows]),  # type: ignore[arg-type]
        role=["policy"] * len(rows),
        tokens=pad_rows([row["response_ids"] for row in rows], torch.long),  # type: ignore[arg-type]
        loss_mask=mask,
        token_mask=mask,
        rewards=torch.tensor([0.0 if r is None else r for r in rewards]),  # type: ignore[arg-type]
        judged=torch.tensor([r is not None for r in rewards]),  # type: ignore[arg-type]
        reward_parts={
            name: torch.tensor([float(row["reward_parts"].get(name) or 0.0) for row in rows]) for name in weights
        },  # type: ignore[misc]
        rollout_logprobs=pad_rows([row["logprobs"] for row in rows], torch.float32),  # type: ignore[arg-type]
    )


def _mean_of(values: Tensor, keep: Tensor) -> float:
    return float(values[keep].mean()) if bool(keep.any()) else 0.0


def _correlation(one: Tensor, other: Tensor) -> float | None:
    one, other = one.double() - one.double().mean(), other.double() - other.double().mean()
    scale = float(one.norm() * other.norm())
    return float((one * other).sum()) / scale if scale > 1e-12 else None
