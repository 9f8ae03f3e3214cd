"""The verifier and the rewards that a recipe names."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from reasonrl.environments.base import Episode
from reasonrl.errors import RecipeError
from reasonrl.plugins import import_dotted
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.base import RewardPart
from reasonrl.rewards.critique import critic_parts
from verifiers.loading import load_verifier
from verifiers.types import Verifier


def make_verifier(recipe: Recipe) -> Verifier:
    try:
        return load_verifier(recipe.verifier.name, **recipe.verifier.options)
    except ValueError as error:
        raise RecipeError(f"verifier: {error}") from error


def make_reward_parts(recipe: Recipe, verifier: Verifier) -> list[RewardPart]:
    """The terms of the reward, correctness first: its verifier is the one that judges the data too."""
    if recipe.critic is not None:
        custom_reward = import_dotted(recipe.critic.reward, "critic.reward") if ":" in recipe.critic.reward else None
        parts = critic_parts(recipe.critic, verifier, custom_reward)
    else:
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
            parts.append(function_part(name, spec.weight, spec.function))
    return parts


def function_part(name: str, weight: float, path: str) -> RewardPart:
    """The part of a user's function `f(responses, problems)`, or `f(responses, problems, episodes)` for one that looks
    at more than a response: at turns, at what the environment noted in `info`.

    Raises RecipeError where there is no such function, or it cannot be called like this.
    """
    key = f"reward.{name}.function"
    function = import_dotted(path, key)
    if not callable(function):
        raise RecipeError(f"{key}: {path} is of type {type(function).__name__}, not a function")
    signature = inspect.signature(function)
    takes_episodes = "episodes" in signature.parameters
    try:
        signature.bind([], [], **({"episodes": []} if takes_episodes else {}))
    except TypeError as error:
        raise RecipeError(
            f"{key}: {path} cannot be called with (responses, problems) or (responses, problems, episodes): {error}"
        ) from error
    if not takes_episodes:
        return RewardPart(name, weight, function=function)

    def of_episodes(episodes: Sequence[Episode], step: int) -> Sequence[float | None]:
        texts, problems = [episode.text for episode in episodes], [episode.problem for episode in episodes]
        values: Sequence[float | None] = function(texts, problems, episodes=episodes)
        return values

    return RewardPart(name, weight, episodes=of_episodes)
