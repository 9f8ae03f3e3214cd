"""What would the rewards, advantages and budgets of a saved run have been under other settings? No model is needed.

Each step of samples.jsonl is taken through steps 4 to 9 of an update again, with the recipe of the run and overrides
laid over it. The rollouts stay what they were: this answers "what would this method compute from them", not "how would
the run have continued". Budgets are replayed from the history that the run itself saw, a whole step at once (the
trainer gives out each round of a refill by itself). A value model needs the policy; a recipe with one is replayed from
the history.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from reasonrl.algorithms.batch import RolloutBatch
from reasonrl.algorithms.catalogue import ADVANTAGES
from reasonrl.algorithms.groups import group_mix, group_std
from reasonrl.errors import RecipeError, UsageError
from reasonrl.recipe.reading import load_recipe
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.reading import Row, Run
from reasonrl.runs.rejudge import judge_again, new_verifiers, part_weights
from reasonrl.update.advantages import AdvantageSteps
from reasonrl.update.prompts import PromptSource
from verifiers.types import Problem, Verifier

UNKNOWN_KIND = "unknown"


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
    saved = load_recipe(str(run_dir / "recipe.yaml")).stages[0]
    if recipe.kind != "rl":
        raise UsageError(
            f"{run_dir} is a stage of kind {recipe.kind}, which has no rewards to replay; name a stage of kind rl"
        )
    if recipe.train.kl.in_reward:
        raise RecipeError(
            "train.kl: a KL penalty in the reward needs the model; write train.kl.coefficient=0 to replay without it"
        )
    if "greedy_rewards" in ADVANTAGES[recipe.train.advantage].needs:
        raise RecipeError(
            f"train.advantage: {recipe.train.advantage} needs greedy responses, which the samples lack; write another"
        )
    if recipe.train.d3s is not None:
        raise RecipeError("train.d3s: needs the entropy of each token, which the samples lack; write train.d3s=null")
    out = Replay(str(run_dir), overrides)
    if recipe.rate_source != "history":
        out.notes.append("success rates: a replay has no model, so they come from the history alone")
        recipe = recipe.model_copy(
            update={"success_rates": recipe.success_rates.model_copy(update={"source": "history"})}
        )
    steps = list(_steps(run))
    problems = {row["problem_id"]: _problem(row) for _, rows in steps for row in rows}
    if any(problem.kind == UNKNOWN_KIND for problem in problems.values()):
        out.notes.append(
            "problems: the samples were written by an older version, without the kind of each problem; verdicts and"
            " advantages do not need it"
        )
    replayer = Replayer(recipe, problems, new_verifiers(recipe, saved, overrides))
    for step, rows in steps:
        out.steps.append(replayer.replay_step(step, rows))
        out.rows += rows
    return out


def _steps(run: Run) -> Iterator[tuple[int, list[Row]]]:
    from reasonrl.runs.reading import read_rows

    rows = (row for row in read_rows(run.path / "samples.jsonl", ("kind", "step")) if row["kind"] == "train")
    has_samples = False
    for step, group in itertools.groupby(rows, key=lambda row: int(row["step"])):
        has_samples = True
        members = list(group)
        if "group" not in members[0]:
            raise UsageError(
                f"{run.path}: its samples were written by an older version and lack the groups that a replay needs"
            )
        yield step, members
    if not has_samples:
        raise UsageError(f"{run.path} has no training samples to replay; name a run that has trained")


def _problem(row: Row) -> Problem:
    """As the run saved it; its kind is `UNKNOWN_KIND` in samples of an older version."""
    return Problem(
        id=row["problem_id"],
        prompt=row["prompt"],
        kind=row.get("problem_kind", UNKNOWN_KIND),
        reference=row["reference"],
        source=str(row.get("source", "")),
        meta={},
    )


class Replayer:
    """Steps 4 to 9 over saved rollouts, one step after another.

    Args:
        problems: by id, all of the run.
        verifiers: by part of the reward, what judges it again; the others keep the verdicts of the run.
    """

    def __init__(
        self, recipe: Recipe, problems: Mapping[str, Problem], verifiers: Mapping[str, Verifier] | None = None
    ) -> None:
        self.recipe, self.problems, self.verifiers = recipe, problems, verifiers or {}
        self.weights = part_weights(recipe)
        uniform = recipe.model_copy(update={"curriculum": type(recipe.curriculum)()})  # the problems are given
        self.prompts = PromptSource(uniform, list(problems.values()), 0)
        self.steps = AdvantageSteps(recipe)

    def replay_step(self, step: int, rows: list[Row]) -> ReplayedStep:
        """The step as it was and as it would have been. `rows` get the new rewards and advantages."""
        was_rewards, was_advantages = _saved_rewards(rows), torch.tensor([float(row["advantage"]) for row in rows])
        verdicts_changed = judge_again(rows, self.verifiers, self.recipe.train.on_timeout)
        batch = _batch(self.weights, rows)
        correct = torch.tensor([row["verdicts"]["correctness"]["correct"] is True for row in rows])
        eligible = batch.judged
        if self.recipe.train.mask_truncated:
            eligible = eligible & torch.tensor([row["finish_reason"] != "length" for row in rows])
        budgets, replayed_budgets = self._replay_budgets(batch, rows)
        trainable = self.steps.filter(batch, eligible)
        shaped = self.steps.shape(batch, trainable)
        advantages, token_advantages = self.steps.advantages(batch, shaped, trainable)
        self._write(rows, batch, shaped, advantages, token_advantages)
        signal = (group_std(batch.rewards, batch.group, eligible) > 0) & eligible
        was_judged = ~torch.isnan(was_rewards)
        was_eligible = was_judged & (eligible | ~batch.judged)
        was_mix = group_mix(was_rewards.nan_to_num(0.0), correct, batch.group, was_eligible)
        return ReplayedStep(
            step=step,
            rollouts=len(rows),
            reward=_masked_mean(was_rewards, was_judged),
            replayed_reward=_masked_mean(batch.rewards, batch.judged),
            verdicts_changed=verdicts_changed,
            mixed=was_mix.mixed,
            replayed_mixed=group_mix(batch.rewards, correct, batch.group, eligible).mixed,
            groups=len(budgets),
            advantage=float(was_advantages.abs().mean()),
            replayed_advantage=float(advantages.abs().mean()),
            correlation=_correlation(was_advantages, advantages),
            effective_share=float(signal.float().mean()),
            budgets=budgets,
            replayed_budgets=replayed_budgets,
        )

    def _replay_budgets(self, batch: RolloutBatch, rows: list[Row]) -> tuple[list[int], list[int]]:
        """By prompt, how many rollouts it got, and how many it would have got by what was known of it then."""
        members = [(batch.group == g).nonzero()[:, 0].tolist() for g in sorted(set(batch.group.tolist()))]
        problems = [self.problems[rows[group[0]]["problem_id"]] for group in members]
        replayed = self.prompts.allocate(problems)
        verdicts = [[rows[i]["verdicts"]["correctness"]["correct"] for i in group] for group in members]
        successes = [[correct is True for correct in group if correct is not None] for group in verdicts]
        self.prompts.observe(problems, successes)
        return [len(group) for group in members], replayed

    def _write(
        self, rows: list[Row], batch: RolloutBatch, shaped: Tensor, advantages: Tensor, token_advantages: Tensor
    ) -> None:
        for i, row in enumerate(rows):
            judged = bool(batch.judged[i])
            row["reward"] = float(batch.rewards[i]) if judged else None
            row["shaped_reward"] = float(shaped[i]) if judged else None
            row["advantage"] = float(advantages[i])
            if self.recipe.train.credit != "none":
                credits = token_advantages[i, : len(row["response_ids"])].tolist()
                row["token_advantages"] = [round(value, 6) for value in credits]


def _saved_rewards(rows: list[Row]) -> Tensor:
    """[B] as the run had them; NaN where they could not be judged."""
    return torch.tensor([math.nan if row["reward"] is None else float(row["reward"]) for row in rows])


def _batch(weights: Mapping[str, float], rows: list[Row]) -> RolloutBatch:
    """The rows of a step as the algorithms see them, with rewards summed again from the parts."""
    rewards: list[float | None] = []
    for row in rows:
        parts = {name: row["reward_parts"].get(name) for name in weights}
        missing = [name for name in weights if name not in row["reward_parts"]]
        if missing:
            raise RecipeError(
                f"reward.{missing[0]}: the samples of this run lack this part; choose from"
                f" {', '.join(row['reward_parts'])}"
            )
        undecided = any(value is None and weights[name] != 0 for name, value in parts.items())
        rewards.append(None if undecided else sum(weights[name] * (value or 0.0) for name, value in parts.items()))
    return RolloutBatch.from_rows(
        problem_id=[row["problem_id"] for row in rows],
        group=[int(row["group"]) for row in rows],
        token_ids=[row["response_ids"] for row in rows],
        loss_mask=[_loss_mask(row) for row in rows],
        logprobs=[row["logprobs"] for row in rows],
        rewards=rewards,
        reward_parts={name: [row["reward_parts"].get(name) for row in rows] for name in weights},
    )


def _loss_mask(row: Row) -> list[bool]:
    """Which tokens the policy wrote: all, where the row does not say."""
    return [bool(mask) for mask in row.get("loss_mask", [True] * len(row["response_ids"]))]


def _masked_mean(values: Tensor, keep: Tensor) -> float:
    return float(values[keep].mean()) if bool(keep.any()) else 0.0


def _correlation(one: Tensor, other: Tensor) -> float | None:
    one, other = one.double() - one.double().mean(), other.double() - other.double().mean()
    scale = float(one.norm() * other.norm())
    return float((one * other).sum()) / scale if scale > 1e-12 else None
