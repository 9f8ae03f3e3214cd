"""Evaluates a model outside of a training run, for `reasonrl eval` and `reasonrl.evaluate`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reasonrl.data.checks import check_problems
from reasonrl.environments.roles import Speaker
from reasonrl.errors import DataError, NotFiniteError, UsageError
from reasonrl.evaluation.evaluate import Evaluation, Evaluator
from reasonrl.recipe.fields import LARGEST_TEMPERATURE, LEAST_TEMPERATURE
from reasonrl.recipe.rules import vllm_samples_at_the_temperature
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.loading import make_reward_parts, make_verifier
from reasonrl.setup.data import continues_assistant, load_data, render, with_functions
from reasonrl.setup.evaluation import evaluator_for
from reasonrl.setup.lengths import check_lengths
from reasonrl.setup.models import load_language_model, make_engine
from reasonrl.setup.prompt_checks import check_last_turns, template_warnings
from reasonrl.setup.prompt_tokens import check_prompt_tokens
from reasonrl.setup.roles import Roles, evaluation_roles, load_roles
from verifiers.types import Problem, Verifier

Sets = Mapping[str, Sequence[Problem]]


@dataclass(frozen=True)
class StandaloneEvaluation:
    """A model with everything that its evaluation needs."""

    recipe: Recipe
    evaluator: Evaluator
    heldout: Sets
    """Problems with their final prompts, by set."""
    actor: Speaker | None
    """Refines solutions on the critiques of a critic."""
    roles: Roles
    answer_verifier: Verifier
    warnings: Sequence[str] = ()
    """What a person should know of the prompts and of the model's chat template."""

    def run(self) -> list[Evaluation]:
        """Answer and judge every set.

        Raises TrainingError where a verifier or a reward breaks its contract, and where the model's logits are not
        numbers.
        """
        try:
            return [self.evaluator.evaluate(name, problems) for name, problems in self.heldout.items()]
        except NotFiniteError as error:
            raise NotFiniteError(
                f"{error}. Nothing was evaluated. Name another model or an earlier checkpoint, or write --set"
                " model.dtype=float32"
            ) from error

    def sampling_facts(self) -> dict[str, Any]:
        """How the answers are sampled and judged, for results.json."""
        verifier = self.recipe.verifier
        return {
            "sampling": {
                "temperature": self.evaluator.sampling.temperature,
                "max_new_tokens": self.recipe.rollout.max_new_tokens,
                "stop": self.recipe.rollout.stop,
                "samples_per_problem": self.evaluator.samples_per_problem,
            },
            "verifier": {"name": verifier.name, **verifier.options},
            "warnings": list(self.warnings),
        }


def prepare_evaluation(
    recipe: Recipe,
    weights: str,
    *,
    samples_per_problem: int,
    temperature: float | None,
    seed: int,
    offline: bool,
    problems: Sets | None = None,
) -> StandaloneEvaluation:
    """Load a model and the problems that it is asked.

    Args:
        weights: a folder, a Hugging Face id, or the name of a bundled model.
        samples_per_problem: 0 evaluates greedily only.
        temperature: of the samples; the recipe's if None.
        problems: bare problems by set, instead of the recipe's held-out sets.

    Raises:
        DataError: a data set cannot be read, or a gold answer does not score 1.
        ModelError: the weights cannot be found or loaded.
        RecipeError: the verifier is not known, or a prompt does not fit the model.
        UsageError: the temperature is not a positive number.
    """
    if temperature is not None:
        recipe = at_temperature(recipe, temperature)
    answer_verifier = make_verifier(recipe)
    parts = make_reward_parts(recipe, answer_verifier)
    assert parts[0].verifier is not None
    heldout: Sets
    warnings: list[str] = []
    if problems is None:
        data = load_data(recipe, parts[0].verifier, offline=offline)
        heldout, warnings = data.heldout, data.warnings
    else:
        heldout = {name: _checked(name, rows, recipe, parts[0].verifier) for name, rows in problems.items()}
    language_model = load_language_model(recipe, weights, offline=offline)
    tokenizer = language_model.tokenizer
    asked_problems = [problem for rows in heldout.values() for problem in rows]
    check_lengths(recipe, tokenizer, language_model.model.config, asked_problems)
    check_prompt_tokens(weights, tokenizer, language_model.model.config, asked_problems)
    warnings = [*warnings, *template_warnings(recipe, tokenizer, language_model.eos_ids, asked_problems)]
    roles = load_roles(recipe, evaluation_roles(recipe), language_model, offline=offline)
    actor = roles.speaker("actor")
    engine = make_engine(recipe, language_model)
    evaluator = dataclasses.replace(
        evaluator_for(recipe, engine, tokenizer, parts, actor=actor, other_engines=roles.engines),
        samples_per_problem=samples_per_problem,
        seed=(seed, "eval"),
    )
    return StandaloneEvaluation(recipe, evaluator, heldout, actor, roles, answer_verifier, warnings)


def at_temperature(recipe: Recipe, temperature: float) -> Recipe:
    """The recipe with samples of another temperature. Raises UsageError for one that nothing can be sampled at."""
    if not (math.isfinite(temperature) and temperature > 0):
        raise UsageError(
            f"temperature: {temperature:g} is not a positive number. Greedy answers are evaluated as well, and"
            " n: 0 leaves the samples out"
        )
    if not LEAST_TEMPERATURE <= temperature <= LARGEST_TEMPERATURE:
        raise UsageError(
            f"temperature: {temperature:g} cannot be sampled at. Write a number from {LEAST_TEMPERATURE:g} to"
            f" {LARGEST_TEMPERATURE:g}; greedy answers are evaluated as well"
        )
    spec = recipe.evaluation.model_copy(update={"temperature": temperature})
    changed = recipe.model_copy(update={"evaluation": spec})
    for mistake in vllm_samples_at_the_temperature(changed):
        if mistake.place == ("evaluation", "temperature"):
            raise UsageError(f"temperature: {mistake.text}")
    return changed


def _checked(name: str, problems: Sequence[Problem], recipe: Recipe, verifier: Verifier) -> list[Problem]:
    rendered = with_functions([render(problem, recipe) for problem in problems], recipe)
    report = check_problems(rendered, verifier)
    if not report.ok:
        raise DataError(f"{name}: the gold answer of each problem must score 1 and an empty one 0.\n{report}")
    try:
        check_last_turns(rendered, verifier, continues=continues_assistant(recipe))
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    return rendered
