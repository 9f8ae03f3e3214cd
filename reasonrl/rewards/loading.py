"""The verifier and the rewards that a recipe names."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from critics.types import CriticEpisode
from reasonrl.environments.base import Episode
from reasonrl.errors import ReasonRLError, RecipeError
from reasonrl.plugins import import_dotted
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.base import RewardPart
from reasonrl.rewards.copies import detached_critique, detached_episode
from reasonrl.rewards.critique import critic_parts
from reasonrl.rewards.guarded import GuardedVerifier
from reasonrl.rewards.scoring import finite_reward
from reasonrl.user_code.guards import call_user_code, detached_problem
from verifiers.errors import BadOption, MissingPackage, UnknownVerifier
from verifiers.loading import load_verifier, option_names
from verifiers.sandbox.types import SandboxUnavailable
from verifiers.types import Verifier

_TRY_SERVER = "try_server"
"""The option of a verifier that can be made before its server is up."""


def make_verifier(recipe: Recipe) -> Verifier:
    return _load(recipe.verifier.name, recipe.verifier.options, "verifier")


def make_offline_verifier(recipe: Recipe) -> tuple[Verifier, list[str]]:
    """The same without asking the server that it needs, and what was left unchecked."""
    name, options = recipe.verifier.name, recipe.verifier.options
    if not options.get("url") or ":" in name or _TRY_SERVER not in option_names(name):
        return make_verifier(recipe), []
    verifier = _load(name, options | {_TRY_SERVER: False}, "verifier")
    return verifier, [f"the server of the verifier {name}, {options['url']}, was not asked"]


def _load(name: str, options: dict[str, Any], key: str) -> Verifier:
    """A verifier by its name. Raises RecipeError where it cannot be loaded, and ReasonRLError where this machine lacks
    what it needs; the message begins with `key`.
    """
    if ":" not in name:
        try:
            return load_verifier(name, **options)
        except SandboxUnavailable as error:
            raise ReasonRLError(f"{key}: {error}") from error
        except (ValueError, TypeError, OverflowError, MissingPackage) as error:
            raise RecipeError(f"{key}: {error}") from error
    try:
        verifier: Verifier = call_user_code(
            f"{key}: {name} cannot be loaded",
            functools.partial(load_verifier, name, **options),
            error_class=RecipeError,
            passes=(UnknownVerifier, BadOption),
        )
    except (UnknownVerifier, BadOption) as error:
        raise RecipeError(f"{key}: {error}") from error
    return GuardedVerifier(verifier, key)


def make_reward_parts(recipe: Recipe, verifier: Verifier) -> list[RewardPart]:
    """The terms of the reward, correctness first: its verifier is the one that judges the data too."""
    if recipe.critic is not None:
        key = "critic.reward"
        custom_reward = _guarded(import_dotted(recipe.critic.reward, key), key) if ":" in recipe.critic.reward else None
        parts = critic_parts(recipe.critic, verifier, custom_reward)
    else:
        parts = [RewardPart("correctness", recipe.reward["correctness"].weight, verifier)]
    for name, spec in recipe.reward.items():
        if name == "correctness":
            continue
        if spec.verifier is not None:
            own_verifier = _load(spec.verifier.name, spec.verifier.options, f"reward.{name}.verifier")
            parts.append(RewardPart(name, spec.weight, own_verifier))
        elif spec.function is not None:
            parts.append(function_part(name, spec.weight, spec.function))
        else:
            parts.append(RewardPart(name, spec.weight))  # a critic's, which is loaded with the roles
    return parts


def _guarded(function: Any, key: str) -> Callable[[CriticEpisode], float | None]:
    """Raises RecipeError for what is not a function of one argument. What it returns raises TrainingError where the
    function fails, or does not return a finite number or None.
    """
    if not callable(function):
        raise RecipeError(f"{key}: is of type {type(function).__name__}; write the path of a function")
    _check_call(function, key, "it", "(episode)", ([None], {}))

    def term(episode: CriticEpisode) -> float | None:
        value = call_user_code(key, function, detached_critique(episode))
        return None if value is None else finite_reward(value, key, episode.problem.id)

    return term


def _check_call(
    function: Any, key: str, path: str, called_with: str, example: tuple[list[Any], dict[str, Any]]
) -> inspect.Signature:
    """The signature of a function. Raises RecipeError where the `example` of a call does not fit it."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:  # some functions of extension modules do not declare their parameters
        raise RecipeError(f"{key}: the parameters of {path} are not known; wrap it in a function of Python") from error
    positional, named = example
    if "episodes" not in signature.parameters:
        named = {}
    try:
        signature.bind(*positional, **named)
    except TypeError as error:
        raise RecipeError(f"{key}: {path} cannot be called with {called_with}: {error}") from error
    return signature


def function_part(name: str, weight: float, path: str) -> RewardPart:
    """The part of a user's function `f(responses, problems)`, or `f(responses, problems, episodes)` for one that looks
    at more than a response: at turns, at what the environment noted in `info`.

    Raises RecipeError where there is no such function, or it cannot be called like this.
    """
    key = f"reward.{name}.function"
    function = import_dotted(path, key)
    if not callable(function):
        raise RecipeError(f"{key}: {path} is of type {type(function).__name__}, not a function")
    accepted = "(responses, problems) or (responses, problems, episodes)"
    signature = _check_call(function, key, path, accepted, ([[], []], {"episodes": []}))
    takes_episodes = "episodes" in signature.parameters
    if not takes_episodes:
        return RewardPart(name, weight, function=function)

    def of_episodes(episodes: Sequence[Episode], step: int) -> Sequence[float | None]:
        texts, problems = [episode.text for episode in episodes], [detached_problem(e.problem) for e in episodes]
        shown = [detached_episode(episode) for episode in episodes]
        values: Sequence[float | None] = call_user_code(key, function, texts, problems, episodes=shown)
        return values

    return RewardPart(name, weight, episodes=of_episodes)
