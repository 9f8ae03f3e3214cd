"""The verifier and the rewards that a recipe names."""

from __future__ import annotations

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
            parts.append(
                RewardPart(name, spec.weight, function=import_dotted(spec.function, f"reward.{name}.function"))
            )
    return parts
