"""The stage `kind: offline`: learn from what was said before, and what it earned (SPC, arXiv:2504.19162).

    ratio = exp(mean_t log pi(y_t) - mean_t log pi_0(y_t))     over the tokens of a response; pi_0 is the model that
                                                               this stage began with
    loss  = mean over rows of -min(A ratio, A clip(ratio, 1 - clip, 1 + clip)),   A = reward, without a baseline
          + sft_weight * mean over replayed demonstrations of -mean_t log pi(y_t)

This is `gspo` with PPO's bounds and `loss_aggregation: sequence_mean`. The KL penalty that the paper names is commented
out in its code; here it is `train.kl`. What the code does wrong, padding in the mean log-prob, is not done.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from reasonrl.algorithms.batch import length_mask
from reasonrl.algorithms.losses.aggregation import token_weights
from reasonrl.curricula.uniform import UniformCurriculum
from reasonrl.engines.base import derive_seed
from reasonrl.models.logprobs import TokenRow
from reasonrl.recipe.schema import TrainSpec
from reasonrl.stages.context import StageContext
from reasonrl.stages.sft import token_row
from reasonrl.trainer.policy_update import UpdateMeasures, UpdateRows, accumulate_gradients
from verifiers.types import Problem


class OfflineStage:
    """One `kind: offline` stage. `context.data.train` holds problems of kind "offline": a prompt, a response, a
    reward.
    """

    def __init__(self, context: StageContext) -> None:
        self.c = context
        recipe = context.recipe
        self.curriculum = UniformCurriculum(context.data.train, derive_seed(recipe.seed, "curriculum"))
        replay = context.data.replay
        self.replay = UniformCurriculum(replay, derive_seed(recipe.seed, "replay")) if replay else None

    def run_step(self, step: int) -> dict[str, Any]:
        """One optimiser step on `offline.rows_per_step` rows and as many replayed ones as the recipe says. The row of
        metrics.jsonl.
        """
        started = time.perf_counter()
        recipe, spec = self.c.recipe, self.c.recipe.offline
        torch.manual_seed(derive_seed(recipe.seed, "step", step) % 2**63)
        problems = self.curriculum.select(spec.rows_per_step)
        rewards = torch.tensor([float(problem.reference["reward"]) for problem in problems])
        rows = [self._row(problem, str(problem.reference["response"])) for problem in problems]
        clip = {"loss": "gspo", "loss_aggregation": "sequence_mean", "clip_low": spec.clip, "clip_high": spec.clip}
        clipped = recipe.train.model_copy(update=clip)
        self.c.model.train()
        measures = UpdateMeasures()
        self._accumulate(rows, rewards, clipped, 1.0, measures)
        replayed = UpdateMeasures()
        if self.replay is not None:
            again = self.replay.select(spec.replay_rows_per_step)
            demonstrations = [self._row(problem, self._shown(problem)) for problem in again]
            plain = recipe.train.model_copy(
                update={"loss": "reinforce", "kl": recipe.train.kl.model_copy(update={"coefficient": 0.0})}
            )
            self._accumulate(demonstrations, torch.ones(len(again)), plain, spec.sft_weight, replayed)
        norm = self.c.optimizer.step(step)
        self.c.model.eval()
        seconds = time.perf_counter() - started
        return {
            "kind": "offline",
            "step": step,
            "reward/mean": float(rewards.mean()),
            "loss/policy": measures.policy_loss,
            "loss/kl": measures.kl_loss,
            "loss/sft": replayed.policy_loss,
            "policy/clip_fraction": measures.clipped / max(1, measures.tokens),
            "tokens/response": sum(len(row.response) for row in rows),
            "tokens/computed": measures.positions + replayed.positions,
            "optim/lr": self.c.optimizer.learning_rate(step),
            "optim/grad_norm": norm,
            "data/epoch": self.curriculum.epoch,
            "time/update_s": seconds,
            "time/step_s": seconds,
        }

    def _accumulate(
        self, rows: list[TokenRow], rewards: Tensor, spec: TrainSpec, weight: float, measures: UpdateMeasures
    ) -> None:
        mask = length_mask([len(row.response) for row in rows])
        old = self.c.reference_logprobs(rows)
        weights = weight * token_weights(mask, "sequence_mean", self.c.recipe.rollout.max_new_tokens)
        reference = old if spec.kl.coefficient > 0 else None
        batch = UpdateRows(rows, rewards[:, None] * mask, weights, old, old, reference)
        accumulate_gradients(self.c.model, batch, spec, self.c.recipe.rollout.temperature, self.c.packing, measures)

    def _shown(self, problem: Problem) -> str:
        shown = problem.reference.get("demonstration")
        return shown if isinstance(shown, str) else self.c.verifier.gold_response(problem.reference)

    def _row(self, problem: Problem, text: str) -> TokenRow:
        return token_row(self.c.language_model.tokenizer, problem, text, self.c.recipe.rollout.stop)

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
