"""What every stage that trains holds while it runs: model, optimiser, engine, data, and where results go."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from reasonrl.engines.base import BatchEngine, Sampling, SleepingEngine
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
from reasonrl.setup.roles import Roles
from reasonrl.trainer.optimizer import MasterAdamW
from reasonrl.trainer.policy_update import ForwardPass, score_rows
from verifiers.types import Problem, Verifier


@dataclass
class StageContext:
    recipe: Recipe
    data: RunData
    response_verifier: Verifier
    """Judges responses. For a critic: whether its judgement is right."""
    answer_verifier: Verifier
    """Judges answers: the verifier of the recipe."""
    parts: list[RewardPart]
    language_model: LanguageModel
    optimizer: MasterAdamW
    engine: BatchEngine
    environment_for: Callable[[Sampling], Environment]
    sampling: Sampling
    folder: RunFolder
    console: TrainConsole
    packing: Packing
    roles: Roles = field(default_factory=Roles)
    """The speakers of an episode besides the trained policy."""
    refiner: Refiner | None = None
    """Critique-GRPO's; None without the method."""
    reference: Any = None
    """A frozen copy of the model that the stage started from. None with LoRA, where the base without its adapters
    serves, and for a stage that compares with no reference.
    """

    @property
    def model(self) -> Any:
        return self.language_model.model

    def prompt_features(self, problems: Sequence[Problem]) -> Tensor:
        """[n, H] last hidden state at the end of each prompt under the current weights: what a value model reads."""
        prompts = [encode_prompt(self.language_model.tokenizer, problem) for problem in problems]
        return last_hidden_states(self.model, prompts, rows_per_batch=self.recipe.rollout.rows_per_batch)

    def sleep_engines(self) -> None:
        """Call this before an update: engines give their memory to it."""
        for engine in (self.engine, *self.roles.engines.values()):
            if isinstance(engine, SleepingEngine):
                engine.sleep()

    def reference_logprobs(self, rows: Sequence[TokenRow]) -> Tensor:
        """[B, T] log-probs of the response tokens under the model that this stage started from."""
        forward = ForwardPass.from_recipe(self.recipe, self.packing)
        if self.reference is not None:
            return score_rows(self.reference, rows, forward)
        has_adapters = hasattr(self.model, "disable_adapter")
        with self.model.disable_adapter() if has_adapters else contextlib.nullcontext():
            return score_rows(self.model, rows, forward)
