"""Everything that a stage needs before its first step, checked: data, verifier, reward parts, model, engine."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from reasonrl.data import load_problems, render_prompt
from reasonrl.data.checks import DataReport, check_problems, shared_prompts
from reasonrl.engines.base import Sampling
from reasonrl.environments.base import Environment
from reasonrl.environments.rollouts import RewardPart
from reasonrl.environments.single_turn import SingleTurn, encode_prompt
from reasonrl.errors import DataError, RecipeError
from reasonrl.recipe import Recipe, SourceSpec
from reasonrl.recipe_files import import_dotted
from verifiers.loading import load_verifier
from verifiers.types import Problem, Verifier


@dataclass(frozen=True)
class RunData:
    """Problems with their final prompts. Names of `heldout` are those of the recipe."""

    train: list[Problem]
    heldout: dict[str, list[Problem]]
    reports: dict[str, DataReport]
    """By set: whether gold answers score 1 and empty answers 0."""


def load_data(recipe: Recipe, verifier: Verifier, *, offline: bool = False) -> RunData:
    """Load, render and check all sets of a recipe. Raises DataError when a gold answer does not score 1 or sets overlap."""
    sources: dict[str, SourceSpec] = dict(recipe.data.heldout)
    if recipe.data.train is not None:
        sources = {"train": recipe.data.train, **sources}
    loaded: dict[str, list[Problem]] = {}
    reports: dict[str, DataReport] = {}
    for name, source in sources.items():
        where = "data.train" if name == "train" else f"data.heldout.{name}"
        try:
            problems = load_problems(**source.model_dump(), offline=offline)
            loaded[name] = [_rendered(problem, recipe) for problem in problems]
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        reports[name] = check_problems(loaded[name], verifier)
        if not reports[name].ok:
            raise DataError(
                f"{where}: the gold answer of each problem must score 1 and an empty one 0, or the run would learn noise.\n{reports[name]}"
            )
    train = loaded.pop("train", [])
    for name, problems in loaded.items():
        shared = shared_prompts(train, problems)
        if shared:
            raise DataError(
                f"data.heldout.{name}: {len(shared)} of {len(problems)} problems are also in data.train (first: {shared[0]}). "
                "Held-out accuracy would measure memory. Use another split"
            )
    return RunData(train, loaded, reports)


def _rendered(problem: Problem, recipe: Recipe) -> Problem:
    prompt = recipe.data.prompt
    if prompt is None:
        return problem
    template = None if prompt.template == "{question}" else prompt.template  # asks for nothing, so finished messages pass
    return render_prompt(problem, template=template, few_shot=prompt.few_shot, style=prompt.style, system=prompt.system)


def make_verifier(recipe: Recipe) -> Verifier:
    try:
        return load_verifier(recipe.verifier.name, **recipe.verifier.options)
    except ValueError as error:
        raise RecipeError(f"verifier: {error}") from error


def make_reward_parts(recipe: Recipe, verifier: Verifier) -> list[RewardPart]:
    """The terms of the reward, correctness first."""
    parts = [RewardPart("correctness", recipe.reward["correctness"].weight, verifier)]
    for name, spec in recipe.reward.items():
        if name == "correctness":
            continue
        if spec.verifier is not None:
            try:
                parts.append(RewardPart(name, spec.weight, load_verifier(spec.verifier.name, **spec.verifier.options)))
            except ValueError as error:
                raise RecipeError(f"reward.{name}.verifier: {error}") from error
        elif spec.function is not None:
            parts.append(RewardPart(name, spec.weight, function=import_dotted(spec.function, f"reward.{name}.function")))
    return parts


def rollout_sampling(recipe: Recipe) -> Sampling:
    """How rollouts are drawn in training: from the whole distribution, since a top-p cut would bias the gradient."""
    spec = recipe.rollout
    return Sampling(spec.max_new_tokens, spec.temperature, stop=tuple(spec.stop))


def eval_sampling(recipe: Recipe) -> Sampling:
    """How the sampled evaluation draws: as the rollouts, but at `evaluation.temperature` where the recipe sets one."""
    return replace(rollout_sampling(recipe), temperature=recipe.evaluation.temperature or recipe.rollout.temperature)


def environment_maker(recipe: Recipe, tokenizer: Any) -> Callable[[Sampling], Environment]:
    """A function from sampling settings to an environment: training and evaluation sample differently."""
    if recipe.rollout.environment == "single_turn":
        return functools.partial(SingleTurn, tokenizer)
    made = import_dotted(recipe.rollout.environment, "rollout.environment")
    return functools.partial(made, tokenizer)


def check_lengths(recipe: Recipe, tokenizer: Any, config: Any, problems: list[Problem]) -> int:
    """Tokens of the longest prompt. Raises RecipeError when it does not fit the model together with the longest response."""
    try:
        lengths = [len(encode_prompt(tokenizer, problem)) for problem in problems]
    except ValueError as error:
        raise RecipeError(str(error)) from error
    longest = max(lengths)
    limit = getattr(config.get_text_config(), "max_position_embeddings", None)
    if limit is not None and longest + recipe.rollout.max_new_tokens > limit:
        problem = problems[lengths.index(longest)]
        raise RecipeError(
            f"rollout.max_new_tokens: the prompt of problem {problem.id} has {longest} tokens, and with "
            f"{recipe.rollout.max_new_tokens} new ones it exceeds the {limit} positions of the model. Lower rollout.max_new_tokens, "
            "or leave out long prompts"
        )
    return longest
