"""The supervised phase (`kind: sft`): next-token loss on gold responses, through the same packed forward pass and
optimiser as RL.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from reasonrl.algorithms.batch import pad_rows
from reasonrl.curricula.uniform import UniformCurriculum
from reasonrl.engines.base import derive_seed
from reasonrl.environments.single_turn import encode_prompt
from reasonrl.errors import DataError, TrainingError
from reasonrl.models.logprobs import TokenRow, response_logprobs
from reasonrl.models.prefix_tree import split_rows
from reasonrl.stages.context import StageContext
from verifiers.types import Problem, Verifier


class SFTStage:
    """One `kind: sft` stage."""

    def __init__(self, context: StageContext) -> None:
        self.c = context
        self.curriculum = UniformCurriculum(context.data.train, derive_seed(context.recipe.seed, "curriculum"))

    def row(self, problem: Problem) -> TokenRow:
        recipe, tokenizer = self.c.recipe, self.c.language_model.tokenizer
        return token_row(
            tokenizer, problem, taught_response(recipe.sft.response, self.c.verifier, problem), recipe.rollout.stop
        )

    def run_step(self, step: int) -> dict[str, Any]:
        """One optimiser step on `sft.rows_per_step` gold responses. Returns the row of metrics.jsonl."""
        started = time.perf_counter()
        recipe = self.c.recipe
        torch.manual_seed(derive_seed(recipe.seed, "step", step) % 2**63)
        rows = [self.row(problem) for problem in self.curriculum.select(recipe.sft.rows_per_step)]
        tokens = sum(len(row.response) for row in rows)
        total, positions = 0.0, 0
        self.c.model.train()
        for index in split_rows([[*r.prompt, *r.response] for r in rows], recipe.train.positions_per_micro_batch):
            part = [rows[i] for i in index]
            made = response_logprobs(self.c.model, part, packing=self.c.packing)
            mask = pad_rows([[1.0] * len(r.response) for r in part], torch.float32).to(made.logprobs.device)
            loss = -(made.logprobs * mask).sum() / tokens
            if not bool(torch.isfinite(loss)):
                raise TrainingError(
                    f"step {step}: the loss is {float(loss.detach())}. The weights were not touched. Lower optim.lr,"
                    " then resume"
                )
            loss.backward()
            total += float(loss.detach())
            positions += made.positions
        norm = self.c.optimizer.step(step)
        self.c.model.eval()
        seconds = time.perf_counter() - started
        return {
            "kind": "sft",
            "step": step,
            "loss/sft": total,
            "tokens/response": tokens,
            "tokens/computed": positions,
            "optim/lr": self.c.optimizer.learning_rate(step),
            "optim/grad_norm": norm,
            "data/epoch": self.curriculum.epoch,
            "time/update_s": seconds,
            "time/step_s": seconds,
        }

    def state_dict(self) -> dict[str, Any]:
        return {"curriculum": self.curriculum.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.curriculum.load_state_dict(state["curriculum"])

    def tensors(self) -> dict[str, Tensor]:
        return {}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        pass


def taught_response(template: str, verifier: Verifier, problem: Problem) -> str:
    """What `sft.response` makes of a problem. Raises DataError where it asks for a demonstration and there is none."""
    if "{demonstration}" not in template:
        return template.replace("{gold}", verifier.gold_response(problem.reference))
    text = problem.reference.get("demonstration")
    if not isinstance(text, str) or not text:
        raise DataError(
            f"data.train: problem {problem.id} has no text 'demonstration' in its reference, which sft.response"
            " asks for"
        )
    return template.replace("{demonstration}", text)


def token_row(tokenizer: Any, problem: Problem, text: str, stops: Sequence[str]) -> TokenRow:
    """Prompt and a given response as tokens; the response ends as a rollout would: in a stop string, or with the
    end-of-sequence token.
    """
    prompt = encode_prompt(tokenizer, problem)
    if isinstance(problem.prompt, str):
        # Tokenised together with its prompt, so that tokens at the seam are those that the model will meet.
        whole = list(tokenizer(problem.prompt + text)["input_ids"])
        response = (
            whole[len(prompt) :]
            if whole[: len(prompt)] == prompt
            else list(tokenizer(text, add_special_tokens=False)["input_ids"])
        )
    else:
        response = list(tokenizer(text, add_special_tokens=False)["input_ids"])
    if not any(text.endswith(stop) for stop in stops):
        response.append(tokenizer.eos_token_id)
    return TokenRow(prompt, response)
