"""What would the rewards, advantages and budgets of a saved run have been under other settings? No model is needed.

Each step of samples.jsonl is taken through steps 4 to 9 of an update again, with the recipe of the run and overrides
laid over it. The rollouts stay what they were: this answers "what would this method compute from them", not "how would
the run have continued". Budgets are replayed from the history that the run itself saw, round by round as the run drew
them (`train.refill`). A value model needs the policy; a recipe with one is replayed from the history.

Episodes of several turns are replayed like others: a row has the tokens of all turns, and which of them the policy
wrote. Under its own settings a run gives its own rewards, advantages and budgets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from reasonrl.algorithms.catalogue import ADVANTAGES
from reasonrl.algorithms.groups import group_mix, group_std
from reasonrl.errors import RecipeError, UsageError
from reasonrl.recipe.reading import load_recipe
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.reading import Row, Run
from reasonrl.runs.rejudge import CORRECTNESS, judge_again, new_verifiers, part_weights
from reasonrl.runs.replay_rows import (
    UNKNOWN_KIND,
    batch_of,
    correct,
    is_off_policy,
    not_truncated,
    problem_of,
    rounds_of,
    saved_rewards,
    saved_steps,
)
from reasonrl.update.advantages import AdvantageSteps
from reasonrl.update.prompts import PromptSource
from verifiers.types import Problem, Verifier


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
    if "predictions" in ADVANTAGES[recipe.train.advantage].needs and recipe.rate_source != "history":
        raise RecipeError(
            f"train.advantage: {recipe.train.advantage} needs the predictions of a value model, which the samples lack;"
            " write another"
        )
    if recipe.train.d3s is not None:
        raise RecipeError("train.d3s: needs the entropy of each token, which the samples lack; write train.d3s=null")
    out = Replay(str(run_dir), overrides)
    if recipe.rate_source != "history":
        out.notes.append("success rates: a replay has no model, so they come from the history alone")
        recipe = recipe.model_copy(
            update={"success_rates": recipe.success_rates.model_copy(update={"source": "history"})}
        )
    steps = list(saved_steps(run))
    problems = {row["problem_id"]: problem_of(row) for _, rows in steps for row in rows}
    if any(problem.kind == UNKNOWN_KIND for problem in problems.values()):
        out.notes.append(
            "problems: the samples were written by an older version, without the kind of each problem; verdicts and"
            " advantages do not need it"
        )
    verifiers = new_verifiers(recipe, saved, overrides)
    if CORRECTNESS in verifiers and (critics := [name for name, part in recipe.reward.items() if part.critic]):
        out.notes.append(
            f"reward.{critics[0]}: what its critic earned was calibrated on the verdicts of the run, and is kept"
        )
    if verifiers and ":" in recipe.rollout.environment.name:
        out.notes.append(
            f"verdicts: those of the environment {recipe.rollout.environment.name} are replaced by the verifier's"
        )
    if recipe.train.unlikeliness is not None:
        out.notes.append(
            "train.unlikeliness: the samples hold log-probs to 6 decimals, so responses that were almost equally likely"
            " may change ranks"
        )
    replayer = Replayer(recipe, problems, verifiers, saved=saved)
    for step, rows in steps:
        out.steps.append(replayer.replay_step(step, rows))
        out.rows += rows
    return out


class Replayer:
    """Steps 4 to 9 over saved rollouts, one step after another.

    Args:
        problems: by id, all of the run.
        verifiers: by part of the reward, what judges it again; the others keep the verdicts of the run.
        saved: the recipe that the run had, where it is not `recipe`.
    """

    def __init__(
        self,
        recipe: Recipe,
        problems: Mapping[str, Problem],
        verifiers: Mapping[str, Verifier] | None = None,
        *,
        saved: Recipe | None = None,
    ) -> None:
        self.recipe, self.problems, self.verifiers = recipe, problems, verifiers or {}
        self.saved = saved or recipe
        self.weights = part_weights(recipe)
        uniform = recipe.model_copy(update={"curriculum": type(recipe.curriculum)()})  # the problems are given
        self.prompts = PromptSource(uniform, list(problems.values()), 0)
        self.steps = AdvantageSteps(recipe)

    def replay_step(self, step: int, rows: list[Row]) -> ReplayedStep:
        """The step as it was and as it would have been. `rows` get the new rewards and advantages."""
        was_rewards, was_advantages = saved_rewards(rows), torch.tensor([float(row["advantage"]) for row in rows])
        rounds = rounds_of(rows, self.saved)
        verdicts_changed = judge_again(rows, self.verifiers, self.recipe.train.on_timeout)
        batch, rewards = batch_of(self.weights, rows)
        answers = correct(rows)
        eligible = batch.judged & not_truncated(rows, self.recipe)
        budgets, replayed_budgets = self._replay_budgets(rows, rounds)
        trainable = self.steps.filter(batch, eligible)
        shaped = self.steps.shape(batch, trainable)
        advantages, token_advantages = self.steps.advantages(batch, shaped, trainable)
        self._write(rows, rewards, shaped, advantages, token_advantages)
        signal = (group_std(batch.rewards, batch.group, eligible) > 0) & eligible
        was_judged = ~torch.isnan(was_rewards)
        was_eligible = was_judged & (eligible | ~batch.judged)
        was_mix = group_mix(was_rewards.nan_to_num(0.0), answers, batch.group, was_eligible)
        return ReplayedStep(
            step=step,
            rollouts=len(rows),
            reward=_masked_mean(was_rewards, was_judged),
            replayed_reward=_masked_mean(batch.rewards, batch.judged),
            verdicts_changed=verdicts_changed,
            mixed=was_mix.mixed,
            replayed_mixed=group_mix(batch.rewards, answers, batch.group, eligible).mixed,
            groups=len(budgets),
            advantage=float(was_advantages.abs().mean()),
            replayed_advantage=float(advantages.abs().mean()),
            correlation=_correlation(was_advantages, advantages),
            effective_share=float(signal.float().mean()),
            budgets=budgets,
            replayed_budgets=replayed_budgets,
        )

    def _replay_budgets(self, rows: list[Row], rounds: list[list[int]]) -> tuple[list[int], list[int]]:
        """By prompt, how many rollouts it got, and how many it would have got by what was known of it then."""
        members: dict[int, list[Row]] = {group: [] for groups in rounds for group in groups}
        ids: dict[int, str] = {}
        for row in rows:
            ids[row["group"]] = row["problem_id"]
            if not is_off_policy(row):
                members[row["group"]].append(row)
        replayed: list[int] = []
        for groups in rounds:
            problems = [self.problems[ids[group]] for group in groups]
            replayed += self.prompts.allocate(problems)
            verdicts = [[row["verdicts"]["correctness"]["correct"] for row in members[group]] for group in groups]
            successes = [[answer is True for answer in group if answer is not None] for group in verdicts]
            self.prompts.observe(problems, successes)
        return [len(group) for group in members.values()], replayed

    def _write(
        self,
        rows: list[Row],
        rewards: list[float | None],
        shaped: Tensor,
        advantages: Tensor,
        token_advantages: Tensor,
    ) -> None:
        for i, row in enumerate(rows):
            row["reward"] = rewards[i]
            judged = rewards[i] is not None
            row["shaped_reward"] = float(shaped[i]) if judged else None
            row["advantage"] = float(advantages[i])
            if self.recipe.train.credit != "none":
                credits = token_advantages[i, : len(row["response_ids"])].tolist()
                row["token_advantages"] = [round(value, 6) for value in credits]


def _masked_mean(values: Tensor, keep: Tensor) -> float:
    return float(values[keep].mean()) if bool(keep.any()) else 0.0


def _correlation(one: Tensor, other: Tensor) -> float | None:
    one, other = one.double() - one.double().mean(), other.double() - other.double().mean()
    scale = float(one.norm() * other.norm())
    return float((one * other).sum()) / scale if scale > 1e-12 else None
