"""The environment of a recipe, and how its engines sample."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reasonrl.engines.base import Sampling
from reasonrl.environments.base import Environment
from reasonrl.environments.critique import CritiqueAndRefine
from reasonrl.environments.roles import Speaker
from reasonrl.environments.single_turn import SingleTurn
from reasonrl.plugins import import_dotted
from reasonrl.recipe.critics import RoleSpec
from reasonrl.recipe.schema import Recipe

EnvironmentFor = Callable[[Sampling], Environment]


def rollout_sampling(recipe: Recipe) -> Sampling:
    """How rollouts are drawn in training: from the whole distribution, since a top-p cut would bias the gradient."""
    spec = recipe.rollout
    return Sampling(spec.max_new_tokens, spec.temperature, stop=tuple(spec.stop))


def eval_sampling(recipe: Recipe) -> Sampling:
    """How the sampled evaluation draws: as the rollouts, but at `evaluation.temperature` where the recipe sets one."""
    return replace(rollout_sampling(recipe), temperature=recipe.evaluation.temperature or recipe.rollout.temperature)


def environment_maker(
    recipe: Recipe, tokenizer: Any, actor: Speaker | None = None, *, evaluating: bool = False
) -> EnvironmentFor:
    """A function from sampling settings to an environment: training and evaluation sample differently, and held-out
    critiques are always refined on where there is an actor.

    Raises:
        RecipeError: `rollout.environment` is not `single_turn` and cannot be imported.
    """
    if recipe.critic is not None and recipe.rollout.environment == "single_turn":
        spec = recipe.critic
        return functools.partial(
            CritiqueAndRefine,
            tokenizer,
            format=spec.format.load(),
            actor=actor,
            refinements=spec.refine.refinements if evaluating or spec.looks_at_refinements else 0,
            when=spec.refine.when,
        )
    if recipe.rollout.environment == "single_turn":
        return functools.partial(SingleTurn, tokenizer)
    environment_class = import_dotted(recipe.rollout.environment, "rollout.environment")
    return functools.partial(environment_class, tokenizer)


def role_sampling(spec: RoleSpec) -> Sampling:
    """How a role that is not trained speaks."""
    return Sampling(spec.max_new_tokens, spec.temperature, stop=tuple(spec.stop))
