"""The stage `kind: offline`: learn from recorded responses and their rewards (SPC, arXiv:2504.19162).

    ratio = exp(mean_t log pi(y_t) - mean_t log pi_0(y_t))     over the tokens of a response; pi_0 is the model that
                                                               this stage started from
    loss  = mean over rows of -min(A ratio, A clip(ratio, 1 - clip, 1 + clip)),   A = reward, without a baseline
          + sft_weight * mean over replayed demonstrations of -mean_t log pi(y_t)

This is `gspo` with PPO's bounds and `loss_aggregation: sequence_mean`. The KL penalty that the paper names is commented
out in its code; here it is `train.kl`. A bug of that code (padding counts in the mean log-prob) is not reproduced.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from reasonrl.algorithms.batch import length_mask
from reasonrl.algorithms.catalogue import ROW_WEIGHT_LOSS
from reasonrl.algorithms.losses.aggregation import token_weights
from reasonrl.algorithms.losses.objective import Objective, UpdateTensors
from reasonrl.curricula.uniform import UniformCurriculum
from reasonrl.data.checks import without_gold
from reasonrl.engines.base import derive_seed
from reasonrl.errors import DataError
from reasonrl.models.logprobs import TokenRow
from reasonrl.recipe.critics import RoleSpec
from reasonrl.recipe.schema import Recipe
from reasonrl.setup.data import RunData
from reasonrl.setup.roles import training_roles
from reasonrl.stages.base import Session, Workload, training_lines
from reasonrl.stages.context import StageContext
from reasonrl.stages.run_stage import run_stage
from reasonrl.stages.sft import token_row
from reasonrl.trainer.policy_update import (
    ForwardPass,
    UpdateBatch,
    UpdateTotals,
    accumulate_gradients,
)
from reasonrl.update.objective import objective_of
from verifiers.types import Problem, Verifier


class OfflineStage:
    """The steps of one `kind: offline` stage. `context.data.train` holds problems of kind "offline": a prompt, a
    response, a reward.
    """

    def __init__(self, context: StageContext) -> None:
        self.context = context
        recipe = context.recipe
        self.curriculum = UniformCurriculum(context.data.train, derive_seed(recipe.seed, "curriculum"))
        replay = context.data.replay
        self.replay = UniformCurriculum(replay, derive_seed(recipe.seed, "replay")) if replay else None

    def run_step(self, step: int) -> dict[str, Any]:
        """One optimiser step on `offline.rows_per_step` rows and, where there are any, on
        `offline.replay_rows_per_step` demonstrations. Returns the row of metrics.jsonl.
        """
        started = time.perf_counter()
        recipe, spec = self.context.recipe, self.context.recipe.offline
        self.context.sleep_engines()
        torch.manual_seed(derive_seed(recipe.seed, "step", step) % 2**63)
        problems = self.curriculum.select(spec.rows_per_step)
        rewards = torch.tensor([float(problem.reference["reward"]) for problem in problems])
        rows = [self._row(problem, str(problem.reference["response"])) for problem in problems]
        objective = objective_of(recipe)
        clipped_objective = dataclasses.replace(objective, loss="gspo", clip_low=spec.clip, clip_high=spec.clip)
        self.context.model.train()
        totals, replay_totals = UpdateTotals(), UpdateTotals()
        self._accumulate(rows, rewards, clipped_objective, 1.0, totals)
        if self.replay is not None:
            replayed = self.replay.select(spec.replay_rows_per_step)
            demonstrations = [self._row(problem, self._demonstration(problem)) for problem in replayed]
            likelihood = dataclasses.replace(objective, loss=ROW_WEIGHT_LOSS, kl_coefficient=0.0)
            self._accumulate(demonstrations, torch.ones(len(replayed)), likelihood, spec.sft_weight, replay_totals)
        norm = self.context.optimizer.step(step)
        self.context.model.eval()
        seconds = time.perf_counter() - started
        return {
            "kind": "offline",
            "step": step,
            "reward/mean": float(rewards.mean()),
            "loss/policy": totals.policy_loss,
            "loss/kl": totals.kl_loss,
            "loss/sft": replay_totals.policy_loss,
            "policy/clip_fraction": totals.clipped / max(1, totals.tokens),
            "tokens/response": sum(len(row.response) for row in rows),
            "tokens/computed": totals.positions + replay_totals.positions,
            "optim/lr": self.context.optimizer.learning_rate(step),
            "optim/grad_norm": norm,
            "data/epoch": self.curriculum.epoch,
            "time/update_s": seconds,
            "time/step_s": seconds,
        }

    def _accumulate(
        self, rows: list[TokenRow], rewards: Tensor, objective: Objective, weight: float, totals: UpdateTotals
    ) -> None:
        """Add the gradient of `weight` times the mean over rows; `rewards` [B] are the advantages."""
        recipe = self.context.recipe
        mask = length_mask([len(row.response) for row in rows])
        start_logprobs = self.context.reference_logprobs(rows)
        tensors = UpdateTensors(
            advantages=rewards[:, None] * mask,
            weights=weight * token_weights(mask, "sequence_mean", recipe.rollout.max_new_tokens),
            rollout_logprobs=start_logprobs,
            old_logprobs=start_logprobs,
            ref_logprobs=start_logprobs if objective.kl_coefficient > 0 else None,
        )
        accumulate_gradients(
            self.context.model,
            UpdateBatch(rows, tensors),
            objective,
            ForwardPass.from_recipe(recipe, self.context.packing),
            totals,
            skip_silent_rows=recipe.train.skip_silent_groups,
        )

    def _demonstration(self, problem: Problem) -> str:
        demonstration = problem.reference.get("demonstration")
        if isinstance(demonstration, str):
            return demonstration
        return self.context.response_verifier.gold_response(problem.reference)

    def _row(self, problem: Problem, text: str) -> TokenRow:
        return token_row(self.context.language_model.tokenizer, problem, text, self.context.recipe.rollout.stop)

    def state_dict(self) -> dict[str, Any]:
        return {"curriculum": self.curriculum.state_dict(), "replay": self.replay.state_dict() if self.replay else None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.curriculum.load_state_dict(state["curriculum"])
        if self.replay is not None:
            self.replay.load_state_dict(state["replay"])

    def tensors(self) -> dict[str, Tensor]:
        return {}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        pass


class Offline:
    """The kind `offline`."""

    name: ClassVar[str] = "offline"
    target_label: ClassVar[str] = "was said"

    def workload(self, recipe: Recipe, data: RunData) -> Workload:
        rows = recipe.offline.rows_per_step
        replayed = recipe.offline.replay_rows_per_step if recipe.data.replay_sources else 0
        return Workload(
            recipe.offline.steps, prompts_per_step=rows, trained_rows_per_step=rows + replayed, updates_per_step=1
        )

    def describe(self, recipe: Recipe, workload: Workload) -> dict[str, str]:
        return training_lines(f"{workload.prompts_per_step} recorded responses with their rewards", workload)

    def target(self, recipe: Recipe, verifier: Verifier, problem: Problem) -> str:
        return str(problem.reference["response"])

    def roles(self, recipe: Recipe) -> dict[str, RoleSpec]:
        return training_roles(recipe)

    def check(self, recipe: Recipe, data: RunData) -> None:
        goldless = set(without_gold(data.reports, "replay"))
        for problem in data.replay:
            if problem.id in goldless and not isinstance(problem.reference.get("demonstration"), str):
                raise DataError(
                    f"data.replay: problem {problem.id} has no right response in its reference, so it needs a"
                    " 'demonstration' (a string) there"
                )

    def needs_reference(self, recipe: Recipe) -> bool:
        return True

    def run(self, recipe: Recipe, folder: Path, session: Session) -> Path:
        return run_stage(recipe, folder, session, OfflineStage)
