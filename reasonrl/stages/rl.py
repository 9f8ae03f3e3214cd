"""GRPO on one machine, from top to bottom: the ten steps of one update are the body of `RLStage.run_step`.

    1 select    2 allot    3 roll out    4 verify    5 observe    6 filter    7 shape    8 advantage    9 select    10
                update

Everything random is a function of (seed, step, problem, rollout), so a run that was killed and resumed repeats itself
bit for bit.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from reasonrl.algorithms.batch import RolloutBatch
from reasonrl.algorithms.groups import group_mix
from reasonrl.algorithms.kl import kl_estimate
from reasonrl.algorithms.losses.aggregation import token_weights
from reasonrl.engines.base import SleepingEngine, derive_seed
from reasonrl.environments.base import Episode
from reasonrl.environments.rollouts import roll_out
from reasonrl.errors import CheckpointError
from reasonrl.models.logprobs import TokenRow
from reasonrl.recipe.methods import GROUP_LOSSES
from reasonrl.rewards.critique import sample_fields
from reasonrl.rewards.scoring import judge
from reasonrl.stages.context import StageContext
from reasonrl.stages.refined_rows import refined_rows
from reasonrl.trainer.group_losses import row_advantages
from reasonrl.trainer.policy_update import (
    UpdateMeasures,
    UpdateRows,
    accumulate_gradients,
    score_rows,
    score_rows_with_entropy,
)
from reasonrl.update import metrics as step_metrics
from reasonrl.update.health import RunHealth, count_outcomes
from reasonrl.update.methods import Methods
from reasonrl.update.rollouts import Collected, successes
from reasonrl.update.samples import train_samples


class RLStage:
    """One `kind: rl` stage. `context` holds what every stage has: model, optimiser, data, run folder."""

    def __init__(self, context: StageContext) -> None:
        self.c = context
        recipe = context.recipe
        self.spec = recipe.train
        self.methods = Methods(
            recipe, context.data.train, derive_seed(recipe.seed, "curriculum"), context.prompt_features
        )
        self.health = RunHealth(recipe.health)
        self.environment = context.environment_for(context.sampling)
        self.greedy_environment = context.environment_for(dataclasses.replace(context.sampling, temperature=0.0))
        for warning in recipe.warnings():
            context.console.warn(warning)

    # ------------------------------------------------------------------------------------------------------- one update

    def run_step(self, step: int) -> dict[str, Any]:
        """One update. Returns the row of metrics.jsonl; sample rows are written to the run folder."""
        started = time.perf_counter()
        torch.manual_seed(
            derive_seed(self.c.recipe.seed, "step", step) % 2**63
        )  # dropout of adapters; rollouts have seeds of their own
        clock: dict[str, float] = {"rollout": 0.0, "verify": 0.0}
        self.methods.begin_step()
        wanted = self.spec.prompts_per_step
        collected = Collected()
        while True:
            self.collect(step, collected, wanted, clock)  # 1 select, 2 allot, 3 roll out, 4 verify, 5 observe
            batch = collected.batch(self.c.parts, self.entropy(collected))
            right, eligible = collected.right(), collected.eligible(batch, mask_truncated=self.spec.mask_truncated)
            mix = group_mix(batch.rewards, right, batch.group, eligible)
            wanted = self.spec.prompts_per_step - mix.mixed
            if not self.spec.refill.enabled or wanted <= 0 or collected.rounds > self.spec.refill.max_rounds:
                break
        usable = self.methods.usable(
            batch, eligible
        )  # 6 filter: rows that were judged, in groups with something to compare
        rewards = self.methods.shape(batch, usable) - self.kl_penalty(collected, batch)  # 7 shape
        rows, tokens = self.methods.advantages(batch, rewards, usable, collected.greedy_rewards(batch))  # 8 advantage
        self.methods.observe_advantages([e.problem for e in collected.episodes], rows)
        chosen = self.methods.select_advantages(
            tokens, rows, batch, usable, (step - 1) / max(1, self.spec.steps - 1)
        )  # 9 select
        phase = time.perf_counter()
        measures, norm, updates = self.update(step, collected.episodes, batch, usable, chosen, right)  # 10 update
        clock["update"] = time.perf_counter() - phase

        outcomes = count_outcomes([e for e in collected.episodes if not e.info.get("off_policy")])
        broken = next((v.reason for e in collected.episodes for v in e.verdicts.values() if v.correct is None), "")
        warning = self.health.observe(step, mix, outcomes, broken, learns=bool((rows != 0).any()))
        if warning:
            self.c.console.warn(warning)
        unrefined = [e.info["refine_failure"] for e in collected.episodes if "refine_failure" in e.info]
        if unrefined:
            self.c.console.warn(f"{len(unrefined)} wrong responses go without a refinement: {unrefined[0]}")
        samples = train_samples(
            collected,
            rows,
            tokens,
            step=step,
            tokenizer=self.c.language_model.tokenizer,
            credited=self.spec.credit != "none",
            fields=sample_fields,
        )
        self.c.folder.add_samples(samples)
        clock["step"] = time.perf_counter() - started
        return {
            "kind": "train",
            "step": step,
            **step_metrics.rewards_and_rollouts(
                collected, batch, eligible, mix, outcomes, [part.name for part in self.c.parts]
            ),
            **step_metrics.methods(self.c.recipe, collected, batch, usable, rewards, rows, tokens),
            **measures.summary(updates, self.spec.epochs_per_step),
            **({"rollouts/refine_failed": len(unrefined)} if unrefined else {}),
            **({"rollouts/refined": int(batch.off_policy.sum())} if batch.off_policy is not None else {}),
            **({"policy/kl_ref": measures.kl / max(1, measures.tokens)} if self.has_kl_loss else {}),
            **({"policy/corrected": measures.corrected / max(1, measures.tokens)} if self.spec.mismatch.is_on else {}),
            "optim/lr": self.c.optimizer.learning_rate(step),
            "optim/grad_norm": norm,
            "optim/updates": updates,
            "data/epoch": self.methods.curriculum.epoch,
            **{f"time/{name}_s": seconds for name, seconds in clock.items()},
        }

    def collect(self, step: int, into: Collected, prompts: int, clock: dict[str, float]) -> None:
        """Steps 1 to 5 for `prompts` more prompts."""
        phase = time.perf_counter()
        problems = self.methods.select(prompts)
        counts = self.methods.allot(problems)
        clock["select"] = clock.get("select", 0.0) + time.perf_counter() - phase
        phase = time.perf_counter()
        seed = (self.c.recipe.seed, "rollout", step, into.rounds)
        episodes = roll_out(self.environment, self.c.engine, problems, counts, seed=seed, others=self.c.other_engines)
        greedy = []
        if self.spec.advantage == "remax":
            once = [1] * len(problems)
            greedy = roll_out(
                self.greedy_environment,
                self.c.engine,
                problems,
                once,
                seed=(*seed, "greedy"),
                others=self.c.other_engines,
            )
        clock["rollout"] += time.perf_counter() - phase
        phase = time.perf_counter()
        judge([*episodes, *greedy], self.c.parts, on_timeout=self.spec.on_timeout, step=step)
        clock["verify"] += time.perf_counter() - phase
        self.methods.observe(
            problems, successes(counts, episodes)
        )  # what the policy wrote unaided; refinements are no success of its own
        phase = time.perf_counter()
        refined = refined_rows(
            self.c, counts, episodes, seed
        )  # Critique-GRPO: [] where the recipe does not ask for them
        clock["rollout"] += time.perf_counter() - phase
        predicted = [self.methods.rates.predictions.get(problem.id) for problem in problems]
        into.add(problems, counts, episodes, self.c.parts, predicted=predicted, greedy=greedy, refined=refined)

    # -------------------------------------------------------------------------------------------------------- the parts

    @property
    def has_kl_loss(self) -> bool:
        return self.spec.kl.coefficient > 0 and self.spec.kl.where == "loss"

    def entropy(self, collected: Collected) -> Tensor | None:
        """[B, T] of each token's distribution, where the recipe chooses tokens by it."""
        if self.spec.d3s is None:
            return None
        rows, temperature = token_rows(collected.episodes), self.c.recipe.rollout.temperature
        return score_rows_with_entropy(self.c.model, rows, self.spec, temperature, self.c.packing)[1]

    def kl_penalty(self, collected: Collected, batch: RolloutBatch) -> Tensor:
        """[B] what the recipe takes off the reward for leaving the reference; zeros where it does not."""
        kl = self.spec.kl
        if kl.where != "reward" or kl.coefficient == 0:
            return torch.zeros_like(batch.rewards)
        assert batch.rollout_logprobs is not None
        reference = self.c.reference_logprobs(token_rows(collected.episodes))
        penalty = kl_estimate(batch.rollout_logprobs, reference, kl.estimator) * batch.loss_mask
        return kl.coefficient * penalty.sum(1)

    def update(
        self,
        step: int,
        episodes: Sequence[Episode],
        batch: RolloutBatch,
        usable: Tensor,
        advantages: Tensor,
        right: Tensor,
    ) -> tuple[UpdateMeasures, float, int]:
        """Optimiser steps on whole groups. Returns measures, the last gradient norm and the number of optimiser
        steps.
        """
        if isinstance(self.c.engine, SleepingEngine):
            self.c.engine.sleep()
        temperature, packing = self.c.recipe.rollout.temperature, self.c.packing
        mask = batch.loss_mask & usable[:, None]
        rows = token_rows(episodes)
        old = None if self.c.recipe.on_policy else score_rows(self.c.model, rows, self.spec, temperature, packing)
        reference = self.c.reference_logprobs(rows) if self.has_kl_loss or self.spec.loss == "trpa" else None
        assert batch.rollout_logprobs is not None
        measures, norm, updates = UpdateMeasures(), 0.0, 0
        self.c.model.train()
        for _ in range(self.spec.epochs_per_step):
            for members in _parts(batch.group, self.spec.updates_per_step):
                part_mask = mask & members[:, None]
                if self.spec.loss in GROUP_LOSSES:
                    self.c.model.eval()
                    now = score_rows(self.c.model, rows, self.spec, temperature, packing)
                    self.c.model.train()
                    worth = row_advantages(
                        self.c.recipe, batch, usable & members, right, now, now if old is None else old, reference
                    )
                    advantages = worth[:, None] * part_mask
                weights = token_weights(part_mask, self.c.recipe.loss_aggregation, self.c.recipe.rollout.max_new_tokens)
                kl_reference = reference if self.has_kl_loss else None
                everything = UpdateRows(
                    rows, advantages * part_mask, weights, batch.rollout_logprobs, old, kl_reference, batch.off_policy
                )
                if self.c.recipe.critique_grpo is not None:
                    everything = dataclasses.replace(everything, gamma=self.c.recipe.critique_grpo.gamma)
                part = everything.take(members.nonzero()[:, 0].tolist())
                if accumulate_gradients(self.c.model, part, self.spec, temperature, packing, measures):
                    norm = self.c.optimizer.step(step)
                    updates += 1
        self.c.model.eval()
        return measures, norm, updates

    # ----------------------------------------------------------------------------------------------------- what is kept

    def state_dict(self) -> dict[str, Any]:
        return {"methods": self.methods.state_dict(), "health": self.health.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if "methods" not in state:
            raise CheckpointError(
                "this checkpoint is of an older reasonrl and cannot be resumed; start from its weights with"
                " model.path=FOLDER"
            )
        self.methods.load_state_dict(state["methods"])
        self.health.load_state_dict(state["health"])

    def tensors(self) -> dict[str, Tensor]:
        return self.methods.tensors()

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        self.methods.load_tensors(tensors)


def token_rows(episodes: Sequence[Episode]) -> list[TokenRow]:
    return [TokenRow(e.own.prompt_ids, e.own.response_ids) for e in episodes]


def _parts(group: Tensor, count: int) -> list[Tensor]:
    """Row masks [B] of `count` parts of whole groups."""
    return [group % count == part for part in range(count)] if count > 1 else [torch.ones_like(group, dtype=torch.bool)]
