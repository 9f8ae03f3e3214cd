"""GRPO and its relatives on one machine: `RLStage.run_step` is one update, from top to bottom.

     1 select     2 allocate   3 roll out   4 verify   5 observe      `gather_rollouts`, a round at a time
     6 filter     7 shape      8 advantage  9 select                  `UpdatePipeline.prepare`, which verl calls too
    10 update                                                         `update`

Everything random is a function of (seed, step, problem, rollout), so a run that was killed and resumed repeats itself
bit for bit.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from reasonrl.algorithms.catalogue import LOSSES
from reasonrl.algorithms.losses.aggregation import token_weights
from reasonrl.algorithms.losses.objective import UpdateTensors
from reasonrl.algorithms.losses.row_weights import row_weights
from reasonrl.engines.base import derive_seed
from reasonrl.engines.batching import run_episodes
from reasonrl.environments.base import Episode
from reasonrl.environments.rollouts import roll_out
from reasonrl.errors import CheckpointError
from reasonrl.models.architecture import drops_out
from reasonrl.models.logprobs import TokenRow
from reasonrl.recipe.critics import RoleSpec
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.scoring import score_episodes
from reasonrl.rewards.verdict_thread import VerdictThread
from reasonrl.setup.data import RunData
from reasonrl.setup.reviewers import make_reviewers
from reasonrl.setup.roles import training_roles
from reasonrl.setup.run_models import runs_elsewhere
from reasonrl.stages.base import Session, Workload, training_lines
from reasonrl.stages.context import StageContext
from reasonrl.stages.inputs import check_inputs
from reasonrl.stages.methods_text import methods_in_words
from reasonrl.stages.refined_rows import refined_rows
from reasonrl.stages.run_stage import run_stage
from reasonrl.trainer.policy_update import (
    ForwardPass,
    UpdateBatch,
    UpdateTotals,
    accumulate_gradients,
    computed_rows,
    score_rows,
    score_rows_with_entropy,
)
from reasonrl.trainer.timer import Timer
from reasonrl.update.objective import objective_of
from reasonrl.update.pipeline import UpdatePipeline
from reasonrl.update.prepared import PreparedUpdate, group_rows
from reasonrl.update.rollouts import StepRollouts, successes
from verifiers.types import Problem, Verifier


class RLStage:
    """One `kind: rl` stage. `context` holds what every stage has: model, optimiser, data, run folder."""

    def __init__(self, context: StageContext) -> None:
        self.context = context
        recipe = context.recipe
        self.recipe, self.spec = recipe, recipe.train
        self.pipeline = UpdatePipeline(
            recipe, context.data.train, context.parts, context.language_model.tokenizer, context.prompt_features
        )
        self.reviewers = make_reviewers(recipe, context.roles)
        self.objective, self.forward = objective_of(recipe), ForwardPass.from_recipe(recipe, context.packing)
        self.environment = context.environment_for(context.sampling)
        self.greedy_environment = context.environment_for(dataclasses.replace(context.sampling, temperature=0.0))
        for warning in recipe.warnings():
            context.console.warn(warning)

    # ------------------------------------------------------------------------------------------------------- one update

    def run_step(self, step: int) -> dict[str, Any]:
        """One update. Returns the row of metrics.jsonl; sample rows are written to the run folder."""
        timer = Timer()
        with timer("step"):
            rollouts = self.gather_rollouts(step, timer)  # 1 to 5
            self.context.sleep_engines()
            prepared = self.pipeline.prepare(rollouts, step=step, **self.scores(rollouts))  # 6 to 9
            with timer("update"):
                update_metrics = self.update(step, rollouts, prepared)  # 10
            record = self.pipeline.record(rollouts, prepared, step=step)
            for warning in record.warnings:
                self.context.console.warn(warning)
            self.context.folder.add_samples(record.samples)
        row = record.metrics | update_metrics | timer.metrics()
        if record.stop is not None:
            self.context.folder.add_metrics(row)
            raise record.stop
        return row

    def gather_rollouts(self, step: int, timer: Timer) -> StepRollouts:
        """Steps 1 to 5; with `train.refill` again, for new prompts, until enough groups carry signal."""
        torch.manual_seed(derive_seed(self.recipe.seed, "step", step) % 2**63)  # for dropout; rollouts have own seeds
        self.pipeline.prompts.begin_step()
        rollouts = StepRollouts()
        while prompts := self.pipeline.prompts_wanted(rollouts):
            self.add_round(step, rollouts, prompts, timer)
        return rollouts

    def add_round(self, step: int, rollouts: StepRollouts, prompts: int, timer: Timer) -> None:
        """Steps 1 to 5 for `prompts` more prompts."""
        context, source = self.context, self.pipeline.prompts
        with timer("select"):
            problems = source.choose(prompts)  # 1
            counts = source.allocate(problems)  # 2
        seed = (self.recipe.seed, "rollout", step, rollouts.rounds)
        with timer("rollout"), VerdictThread(context.parts) as verdicts:
            episodes = roll_out(
                self.environment,
                context.engine,
                problems,
                counts,
                seed=seed,
                others=context.roles.engines,
                on_end=verdicts.add,
            )  # 3
            greedy = self.greedy_rollouts(problems, seed)
        with timer("verify"):
            score_episodes([*episodes, *greedy], context.parts, on_timeout=self.spec.on_timeout, step=step)  # 4
            self.review(episodes, greedy, seed, step=step, drawn=rollouts.rounds)
        source.observe(problems, successes(counts, episodes))  # 5: unaided rollouts only, refinements do not count
        with timer("rollout"):
            refined = refined_rows(context, counts, episodes, seed)  # [] unless the recipe has `critique_grpo`
        predicted = source.predictions(problems)
        rollouts.add(problems, counts, episodes, context.parts, predicted=predicted, greedy=greedy, refined=refined)

    def review(
        self,
        episodes: Sequence[Episode],
        greedy: Sequence[Episode],
        seed: tuple[Any, ...],
        *,
        step: int,
        drawn: int,
    ) -> None:
        """The end of step 4: critics in the reward judge the responses, and those of a greedy baseline."""
        if not self.reviewers:
            return
        engine, others = self.context.engine, self.context.roles.engines
        plays = [
            functools.partial(reviewer.review, episode, derive_seed(*seed, place, episode.problem.id, episode.rollout))
            for reviewer in self.reviewers
            for place, episode in enumerate([*episodes, *greedy])
        ]
        run_episodes(plays, engine, others)
        for several in (episodes, greedy):  # apart: a baseline is no rollout of its group
            self.pipeline.assign_reviews(several, step=step, drawn=drawn)

    def greedy_rollouts(self, problems: Sequence[Problem], seed: tuple[Any, ...]) -> list[Episode]:
        """The greedy response to each problem where the advantage compares with it, else none."""
        if "greedy_rewards" not in self.pipeline.steps.estimator.needs:
            return []
        context, once = self.context, [1] * len(problems)
        return roll_out(
            self.greedy_environment,
            context.engine,
            problems,
            once,
            seed=(*seed, "greedy"),
            others=context.roles.engines,
        )

    def scores(self, rollouts: StepRollouts) -> dict[str, Tensor]:
        """[B, T] what steps 6 to 9 need of the models: entropies to choose tokens by, and reference log-probs for a KL
        penalty in the reward.
        """
        scores = {}
        if self.spec.d3s is not None:
            rows = token_rows(rollouts.episodes)
            scores["entropy"] = score_rows_with_entropy(self.context.model, rows, self.forward)[1]
        if self.spec.kl.in_reward:
            scores["ref_logprobs"] = self.context.reference_logprobs(token_rows(rollouts.episodes))
        return scores

    # -------------------------------------------------------------------------------------------------------- 10 update

    def update(self, step: int, rollouts: StepRollouts, prepared: PreparedUpdate) -> dict[str, Any]:
        """Optimiser steps on whole groups. Returns what is measured of them."""
        context, rows = self.context, token_rows(rollouts.episodes)
        needs_reference = self.objective.kl_coefficient > 0 or LOSSES[self.spec.loss].needs_reference
        skip = self.spec.skip_silent_groups
        old, first = self.old_logprobs(prepared, rows)
        reference = context.reference_logprobs(rows) if needs_reference else None
        totals, grad_norm, updates = UpdateTotals(), 0.0, 0
        context.model.train()
        cuts = group_rows(prepared.batch.group, self.spec.updates_per_step)
        for number, members in enumerate(cuts * self.spec.epochs_per_step):
            chosen = members.nonzero()[:, 0].tolist()
            batch = self.update_batch(prepared, members, rows, old, reference).select(chosen)
            seen = first if number == 0 else None  # one cut, and so all rows
            if accumulate_gradients(
                context.model, batch, self.objective, self.forward, totals, skip_silent_rows=skip, seen=seen
            ):
                grad_norm = context.optimizer.step(step)
                updates += 1
            old = old if first is None else first
        context.model.eval()
        tokens = max(1, totals.tokens)
        return {
            **totals.metrics(updates, self.spec.epochs_per_step),
            **({"policy/kl_ref": totals.kl / tokens} if self.objective.kl_coefficient > 0 else {}),
            **({"policy/corrected": totals.corrected / tokens} if self.objective.correction.is_on else {}),
            "optim/lr": context.optimizer.learning_rate(step),
            "optim/grad_norm": grad_norm,
            "optim/updates": updates,
        }

    def old_logprobs(self, prepared: PreparedUpdate, rows: list[TokenRow]) -> tuple[Tensor | None, Tensor | None]:
        """[B, T] log-probs before the first of several updates, of the rows that go through the model; other rows have
        zeros. Where the first update is on all rows, its own pass gives them: the second tensor is to be filled by it,
        and stands for the old log-probs from the second update on.
        """
        if self.recipe.on_policy:
            return None, None
        model = self.context.model
        if LOSSES[self.spec.loss].level == "group":  # compares all rows of a prompt
            return score_rows(model, rows, self.forward), None
        empty = torch.zeros_like(prepared.batch.rollout_logprobs)
        if self.spec.updates_per_step == 1 and not drops_out(model):
            return None, empty
        everybody = torch.ones(len(rows), dtype=torch.bool)
        batch = self.update_batch(prepared, everybody, rows, None, None)
        places = computed_rows(batch, self.objective, skip_silent_rows=self.spec.skip_silent_groups)
        if places:
            scores = score_rows(model, [rows[i] for i in places], self.forward)
            empty[torch.tensor(places), : scores.shape[1]] = scores
        return empty, None

    def update_batch(
        self,
        prepared: PreparedUpdate,
        members: Tensor,
        rows: list[TokenRow],
        old_logprobs: Tensor | None,
        ref_logprobs: Tensor | None,
    ) -> UpdateBatch:
        """All rows, those outside `members` [B] (bool) without weight. Log-probs are [B, T]."""
        mask = prepared.loss_mask & members[:, None]
        advantages = prepared.selected_advantages
        if LOSSES[self.spec.loss].level == "group":
            advantages = self.group_loss_weights(prepared, members, rows, old_logprobs, ref_logprobs)[:, None]
        tensors = UpdateTensors(
            advantages=advantages * mask,
            weights=token_weights(mask, self.recipe.loss_aggregation, self.recipe.rollout.response_limit),
            rollout_logprobs=prepared.batch.rollout_logprobs,
            old_logprobs=old_logprobs,
            ref_logprobs=ref_logprobs if self.objective.kl_coefficient > 0 else None,
            off_policy=prepared.batch.off_policy,
        )
        return UpdateBatch(rows, tensors)

    def group_loss_weights(
        self,
        prepared: PreparedUpdate,
        members: Tensor,
        rows: list[TokenRow],
        old_logprobs: Tensor | None,
        ref_logprobs: Tensor | None,
    ) -> Tensor:
        """[B] for a loss over the responses of a prompt, under the present weights."""
        model = self.context.model
        model.eval()
        logprobs = score_rows(model, rows, self.forward)
        model.train()
        return row_weights(
            self.spec.loss,
            prepared.batch,
            prepared.trainable & members,
            prepared.correct,
            logprobs=logprobs,
            old_logprobs=logprobs if old_logprobs is None else old_logprobs,
            ref_logprobs=ref_logprobs,
            max_length=self.recipe.rollout.response_limit,
            best_reward=sum(part.weight for part in self.recipe.reward.values() if part.weight > 0),
        )

    # ------------------------------------------------------------------------------------------------------------ state

    def state_dict(self) -> dict[str, Any]:
        return self.pipeline.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if "methods" not in state:
            raise CheckpointError(
                "this checkpoint was written by an older reasonrl and cannot be resumed; start a new run from its"
                " weights with model.path=FOLDER"
            )
        self.pipeline.load_state_dict(state)

    def tensors(self) -> dict[str, Tensor]:
        return self.pipeline.tensors()

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        self.pipeline.load_tensors(tensors)


def token_rows(episodes: Sequence[Episode]) -> list[TokenRow]:
    """The trained trajectory of each episode, as the model scores it."""
    trajectories = [episode.trained_trajectory for episode in episodes]
    return [TokenRow(trajectory.prompt_ids, trajectory.response_ids) for trajectory in trajectories]


class RL:
    """The kind `rl`."""

    name: ClassVar[str] = "rl"
    target_label: ClassVar[str] = "gold response"

    def workload(self, recipe: Recipe, data: RunData) -> Workload:
        """Rounds that `train.refill` adds are not counted."""
        train, rollout = recipe.train, recipe.rollout
        rollouts = train.prompts_per_step * rollout.rollouts_per_prompt
        return Workload(
            train.steps,
            train.prompts_per_step,
            rollouts,
            sampled_tokens_per_step=rollouts * rollout.response_limit,
            trained_rows_per_step=rollouts,
            updates_per_step=train.updates_per_step * train.epochs_per_step,
        )

    def describe(self, recipe: Recipe, workload: Workload) -> dict[str, str]:
        work = (
            f"{workload.prompts_per_step} prompts, {workload.rollouts_per_step} rollouts, at most"
            f" {workload.sampled_tokens_per_step:,} sampled tokens"
        )
        return training_lines(work, workload, methods="; ".join(methods_in_words(recipe)))

    def target(self, recipe: Recipe, verifier: Verifier, problem: Problem) -> str:
        return verifier.gold_response(problem.reference)

    def roles(self, recipe: Recipe) -> dict[str, RoleSpec]:
        return training_roles(recipe)

    def check(self, recipe: Recipe, data: RunData) -> None:
        pass

    def needs_reference(self, recipe: Recipe) -> bool:
        return recipe.train.kl.coefficient > 0 or LOSSES[recipe.train.loss].needs_reference

    def run(self, recipe: Recipe, folder: Path, session: Session) -> Path:
        if not runs_elsewhere(recipe):
            return run_stage(recipe, folder, session, RLStage)
        run_on_backend = session.backends[recipe.backend]
        return run_on_backend(
            recipe,
            folder,
            session.console,
            init_from=session.init_from,
            resume=session.resume,
            offline=session.offline,
            stop_requested=lambda: session.interrupt.requested,
            check_data=lambda data, step: check_inputs(
                recipe, folder, session, data, training_roles(recipe), step=step
            ),
        )
