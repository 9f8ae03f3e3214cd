"""What every stage holds while it runs: model, optimiser, engine, data and where results go."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from reasonrl.engines.base import BatchEngine, Sampling
from reasonrl.environments.base import Environment
from reasonrl.environments.refined import Refiner
from reasonrl.environments.single_turn import encode_prompt
from reasonrl.models.loading import LanguageModel
from reasonrl.models.logprobs import Packing, TokenRow, last_hidden_states
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.base import RewardPart
from reasonrl.runs.console import TrainConsole
from reasonrl.runs.folder import RunFolder
from reasonrl.setup.data import RunData
from reasonrl.trainer.optimizer import MasterAdamW
from reasonrl.trainer.policy_update import score_rows
from verifiers.types import Problem, Verifier


@dataclass
class StageContext:
    recipe: Recipe
    data: RunData
    verifier: Verifier
    """Judges responses: of a critic, whether its judgement is right."""
    oracle: Verifier
    """Judges answers: that of the recipe."""
    parts: list[RewardPart]
    language_model: LanguageModel
    optimizer: MasterAdamW
    engine: BatchEngine
    environment_for: Callable[[Sampling], Environment]
    evaluation_environment_for: Callable[[Sampling], Environment]
    sampling: Sampling
    folder: RunFolder
    console: TrainConsole
    packing: Packing
    other_engines: Mapping[str, BatchEngine] = field(default_factory=dict)
    """Of roles that are not trained."""
    refiner: Refiner | None = None
    """Critique-GRPO."""
    reference: Any = None
    """A frozen copy of the model; None with LoRA (the base without its adapters serves) and without a KL term."""

    @property
    def model(self) -> Any:
        return self.language_model.model

    def prompt_features(self, problems: Sequence[Problem]) -> Tensor:
        """[n, H] last hidden state at the end of each prompt under the present weights: what a value model reads."""
        rows = [encode_prompt(self.language_model.tokenizer, problem) for problem in problems]
        return last_hidden_states(self.model, rows, rows_per_batch=self.recipe.rollout.rows_per_batch)

    def reference_logprobs(self, rows: Sequence[TokenRow]) -> Tensor:
        """Log-probs [B, T] under the model that this stage started from."""
        recipe = self.recipe
        if self.reference is not None:
            return score_rows(self.reference, rows, recipe.train, recipe.rollout.temperature, self.packing)
        adapters_off = (
            self.model.disable_adapter() if hasattr(self.model, "disable_adapter") else contextlib.nullcontext()
        )
        with adapters_off:
            return score_rows(self.model, rows, recipe.train, recipe.rollout.temperature, self.packing)
