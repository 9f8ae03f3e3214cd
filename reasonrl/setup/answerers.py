"""Who answers benchmarks: a model in this process, or one behind an OpenAI-compatible server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from reasonrl.engines.base import BatchEngine
from reasonrl.engines.served import ServedModel
from reasonrl.environments.served_turn import ServedTurn
from reasonrl.evaluation.evaluate import Evaluator
from reasonrl.models.loading import LanguageModel, load_tokenizer_and_config
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.base import RewardPart
from reasonrl.setup.environments import eval_sampling
from reasonrl.setup.evaluation import evaluator_for
from reasonrl.setup.lengths import check_lengths
from reasonrl.setup.models import load_language_model, make_engine
from reasonrl.setup.prompt_checks import template_warnings
from reasonrl.setup.prompt_tokens import check_prompt_tokens
from verifiers.types import Problem


class Answerer(Protocol):
    """A model, bound to one recipe after the other.

    Attributes:
        chats: it takes messages.
        is_served: what fails may be asked again.
        model_section, rollout_section: of the recipe of a benchmark.
    """

    chats: bool
    is_served: bool
    model_section: Mapping[str, Any]
    rollout_section: Mapping[str, Any]

    def evaluator(
        self, recipe: Recipe, problems: Sequence[Problem], parts: Sequence[RewardPart]
    ) -> tuple[Evaluator, list[str]]:
        """The evaluator of a benchmark, and what a person should know of its prompts. Raises RecipeError for prompts
        that do not fit the model.
        """
        ...


class LocalAnswerer:
    """A model in this process. Its weights are loaded when the first benchmark is bound, behind all checks of data.

    Args:
        model, rollout: keys of a recipe, such as {dtype: bfloat16} and {engine: vllm}.
    """

    is_served = False

    def __init__(self, weights: str, *, model: Mapping[str, Any], rollout: Mapping[str, Any], offline: bool) -> None:
        """Raises ModelError where there is no tokenizer."""
        self._weights, self._offline = weights, offline
        self.model_section: Mapping[str, Any] = {**model, "path": weights}
        self.rollout_section: Mapping[str, Any] = rollout
        self.chats = load_tokenizer_and_config(weights, offline=offline)[0].chat_template is not None
        self._loaded: tuple[LanguageModel, BatchEngine] | None = None

    def evaluator(
        self, recipe: Recipe, problems: Sequence[Problem], parts: Sequence[RewardPart]
    ) -> tuple[Evaluator, list[str]]:
        if self._loaded is None:
            model = load_language_model(recipe, self._weights, offline=self._offline)
            self._loaded = model, make_engine(recipe, model)
        language_model, engine = self._loaded
        tokenizer, config = language_model.tokenizer, language_model.model.config
        given = list(problems)
        check_lengths(recipe, tokenizer, config, given)
        check_prompt_tokens(self._weights, tokenizer, config, given)
        warnings = template_warnings(recipe, tokenizer, language_model.eos_ids, given)
        return evaluator_for(recipe, engine, tokenizer, parts), list(warnings)


class ServedAnswerer:
    """A model on a server, which renders the chat itself."""

    is_served = True
    chats = True

    def __init__(self, model: ServedModel) -> None:
        """Raises ModelError where no server answers."""
        model.check()
        self._model = model
        self.model_section: Mapping[str, Any] = {"path": model.name or "served"}
        self.rollout_section: Mapping[str, Any] = {}

    def evaluator(
        self, recipe: Recipe, problems: Sequence[Problem], parts: Sequence[RewardPart]
    ) -> tuple[Evaluator, list[str]]:
        return Evaluator(
            engine=_NoEngine(),
            environment_for=lambda sampling: ServedTurn(self._model, sampling),
            parts=parts,
            sampling=eval_sampling(recipe),
            greedy=True,
            samples_per_problem=0,
            seed=(recipe.seed,),
            render=_chat_text,
        ), []


class _NoEngine:
    """Nothing is generated in this process."""

    def generate_batch(self, requests: Sequence[Any]) -> list[Any]:
        raise AssertionError("a served model needs no engine")


def _chat_text(problem: Problem) -> str:
    if isinstance(problem.prompt, str):
        return problem.prompt
    return "".join(f"[{message['role']}]\n{message['content']}\n" for message in problem.prompt)
