"""The stage `kind: sft`: supervised next-token loss on gold responses or demonstrations, with the packed forward pass
and the optimiser of RL.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from reasonrl.algorithms.batch import pad_rows
from reasonrl.curricula.uniform import UniformCurriculum
from reasonrl.data.checks import without_gold
from reasonrl.engines.base import derive_seed
from reasonrl.environments.single_turn import encode_prompt
from reasonrl.environments.tools.loading import format_of
from reasonrl.errors import DataError
from reasonrl.models.logprobs import TokenRow, forward_and_backward, micro_batches, response_logprobs
from reasonrl.models.special_tokens import without_opened_thought
from reasonrl.recipe.critics import RoleSpec
from reasonrl.recipe.schema import Recipe
from reasonrl.setup.data import RunData
from reasonrl.setup.roles import training_roles
from reasonrl.stages.base import Session, Workload, training_lines
from reasonrl.stages.context import StageContext
from reasonrl.stages.run_stage import run_stage
from reasonrl.stages.taught_turns import DEMONSTRATION, TaughtRow, taught_turns, turns_of
from reasonrl.trainer.policy_update import require_finite
from verifiers.types import Problem, Verifier


class SFTStage:
    """The steps of one `kind: sft` stage."""

    def __init__(self, context: StageContext) -> None:
        self.context = context
        self.curriculum = UniformCurriculum(context.data.train, derive_seed(context.recipe.seed, "curriculum"))
        environment = context.recipe.rollout.environment
        self.tool_format = (
            format_of(environment.options, context.language_model.tokenizer) if environment.name == "tool_use" else None
        )

    def row(self, problem: Problem) -> TaughtRow:
        """The prompt of a problem and the response to learn."""
        context, recipe = self.context, self.context.recipe
        tokenizer, stops = context.language_model.tokenizer, recipe.rollout.stop
        turns = turns_of(recipe.sft.response, problem)
        if turns is not None:
            return taught_turns(tokenizer, problem, turns, stops, self.tool_format)
        text = target_response(recipe.sft.response, context.response_verifier, problem)
        row = token_row(tokenizer, problem, text, stops)
        return TaughtRow(row.prompt, row.response, [True] * len(row.response))

    def run_step(self, step: int) -> dict[str, Any]:
        """One optimiser step on `sft.rows_per_step` responses. Returns the row of metrics.jsonl.

        Raises:
            DataError: `sft.response` asks for a demonstration that a problem does not have.
            TrainingError: the loss is not a finite number.
        """
        started = time.perf_counter()
        context, recipe = self.context, self.context.recipe
        torch.manual_seed(derive_seed(recipe.seed, "step", step) % 2**63)
        rows = [self.row(problem) for problem in self.curriculum.select(recipe.sft.rows_per_step)]
        tokens = sum(sum(row.taught) for row in rows)
        loss_total, positions = 0.0, 0
        context.sleep_engines()
        context.model.train()
        with forward_and_backward(context.model, context.packing):
            for index in micro_batches(rows, recipe.train.positions_per_micro_batch, context.packing):
                micro = [rows[i] for i in index]
                scores = response_logprobs(context.model, micro, packing=context.packing)
                mask = pad_rows([list(map(float, row.taught)) for row in micro], torch.float32).to(
                    scores.logprobs.device
                )
                loss = -(scores.logprobs * mask).sum() / tokens
                require_finite(loss, len(micro))
                loss.backward()
                loss_total += float(loss.detach())
                positions += scores.positions
        norm = context.optimizer.step(step)
        context.model.eval()
        seconds = time.perf_counter() - started
        return {
            "kind": "sft",
            "step": step,
            "loss/sft": loss_total,
            "tokens/response": sum(len(row.response) for row in rows),
            "tokens/computed": positions,
            "optim/lr": context.optimizer.learning_rate(step),
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


class SFT:
    """The kind `sft`."""

    name: ClassVar[str] = "sft"
    target_label: ClassVar[str] = "is taught"

    def workload(self, recipe: Recipe, data: RunData) -> Workload:
        rows = recipe.sft.rows_per_step
        return Workload(recipe.sft.steps, prompts_per_step=rows, trained_rows_per_step=rows, updates_per_step=1)

    def describe(self, recipe: Recipe, workload: Workload) -> dict[str, str]:
        return training_lines(f"{workload.trained_rows_per_step} demonstrations", workload)

    def target(self, recipe: Recipe, verifier: Verifier, problem: Problem) -> str:
        return target_response(recipe.sft.response, verifier, problem)

    def roles(self, recipe: Recipe) -> dict[str, RoleSpec]:
        return training_roles(recipe)

    def check(self, recipe: Recipe, data: RunData) -> None:
        if DEMONSTRATION in recipe.sft.response:
            for problem in data.train:
                if turns_of(recipe.sft.response, problem) is None:
                    demonstration_of(problem)
        elif "{gold}" in recipe.sft.response and (missing := without_gold(data.reports, "train")):
            more = f" (and {len(missing) - 1:,} more)" if len(missing) > 1 else ""
            raise DataError(
                f"data.train: problem {missing[0]}{more} has no right response in its reference, which sft.response"
                " needs for {gold}; add a 'demonstration' to each reference and write"
                f" sft.response: '{DEMONSTRATION}'"
            )

    def needs_reference(self, recipe: Recipe) -> bool:
        return False

    def run(self, recipe: Recipe, folder: Path, session: Session) -> Path:
        return run_stage(recipe, folder, session, SFTStage)


def target_response(template: str, verifier: Verifier, problem: Problem) -> str:
    """The response to learn, by `sft.response`. Raises DataError if it needs a demonstration that the problem lacks."""
    if DEMONSTRATION not in template:
        return template.replace("{gold}", verifier.gold_response(problem.reference))
    if (turns := turns_of(template, problem)) is not None:
        return "".join(turn["content"] for turn in turns)
    return template.replace(DEMONSTRATION, demonstration_of(problem))


def demonstration_of(problem: Problem) -> str:
    """Raises DataError if there is none."""
    text = problem.reference.get("demonstration")
    if not isinstance(text, str) or not text:
        raise DataError(
            f"data.train: problem {problem.id} has no 'demonstration' (a text, or a list of turns) in its reference,"
            " which sft.response asks for"
        )
    return text


def token_row(tokenizer: Any, problem: Problem, text: str, stops: Sequence[str]) -> TokenRow:
    """Prompt and a given response as tokens; the response ends as a rollout would: in a stop string, or with the
    end-of-sequence token.
    """
    prompt = encode_prompt(tokenizer, problem)
    text = without_opened_thought(tokenizer, prompt, text)
    response = list(tokenizer(text, add_special_tokens=False)["input_ids"])
    if isinstance(problem.prompt, str):
        # Tokenised together with its prompt, so that tokens at the seam are those that the model will meet.
        sequence = list(tokenizer(problem.prompt + text)["input_ids"])
        if sequence[: len(prompt)] == prompt:
            response = sequence[len(prompt) :]
    if not any(text.endswith(stop) for stop in stops):
        response.append(tokenizer.eos_token_id)
    return TokenRow(prompt, response)
