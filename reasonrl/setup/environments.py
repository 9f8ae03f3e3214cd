"""The environment of a recipe, and how its engines sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reasonrl.engines.base import Sampling
from reasonrl.environments.base import Environment
from reasonrl.environments.loading import environment_factory
from reasonrl.environments.roles import Speaker
from reasonrl.recipe.critics import RoleSpec
from reasonrl.recipe.rollout import SINGLE_TURN
from reasonrl.recipe.schema import Recipe

EnvironmentFor = Callable[[Sampling], Environment]


def rollout_sampling(recipe: Recipe) -> Sampling:
    """How rollouts are drawn in training: from the full distribution, since a top-p cut would bias the gradient."""
    spec = recipe.rollout
    return Sampling(
        spec.max_new_tokens,
        spec.temperature,
        stop=tuple(spec.stop),
        max_response_tokens=spec.max_response_tokens,
    )


def eval_sampling(recipe: Recipe) -> Sampling:
    """How the sampled evaluation draws: like the rollouts, but at `evaluation.temperature` where the recipe sets it."""
    return replace(rollout_sampling(recipe), temperature=recipe.evaluation.temperature or recipe.rollout.temperature)


def environment_maker(
    recipe: Recipe, tokenizer: Any, actor: Speaker | None = None, *, evaluating: bool = False
) -> EnvironmentFor:
    """A function from sampling settings to the environment of a recipe. Held-out critiques are always refined where
    there is an actor.

    Raises RecipeError for an environment that cannot be loaded or does not take its options.
    """
    spec = recipe.rollout.environment
    options: dict[str, Any] = spec.options
    name = environment_name(recipe)
    if name == "critique_and_refine" and recipe.critic is not None:
        critic = recipe.critic
        options |= {
            "format": critic.format.load(),
            "actor": actor,
            "refinements": critic.refine.refinements if evaluating or critic.looks_at_refinements else 0,
            "when": critic.refine.when,
        }
    return environment_factory(name, tokenizer, options)


def environment_name(recipe: Recipe) -> str:
    """The environment that plays: a recipe with a critic has another one for single turns."""
    name = recipe.rollout.environment.name
    return "critique_and_refine" if name == SINGLE_TURN and recipe.critic is not None else name


def role_sampling(spec: RoleSpec) -> Sampling:
    """The sampling settings of a role that is not trained."""
    return Sampling(spec.max_new_tokens, spec.temperature, stop=tuple(spec.stop))
