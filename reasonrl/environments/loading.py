"""Environments by name. To add a built-in one, write its file and add its line."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from reasonrl.engines.base import Sampling
from reasonrl.environments.base import Environment
from reasonrl.environments.guarded import KEY, GuardedEnvironment
from reasonrl.errors import RecipeError
from reasonrl.plugins import import_dotted
from reasonrl.user_code.guards import call_user_code, describe_error, detached, kind_of
from reasonrl.words import did_you_mean

BUILT_IN = {
    "single_turn": "reasonrl.environments.single_turn:SingleTurn",
    "critique_and_refine": "reasonrl.environments.critique:CritiqueAndRefine",
    "tool_use": "reasonrl.environments.tools.tool_use:ToolUse",
}
"""Name -> class, called with (tokenizer, sampling, **options)."""
_WANTED = "write a class with a method `async def episode(self, problem, rollout, seed, engine)`"


def environment_factory(name: str, tokenizer: Any, options: Mapping[str, Any]) -> Callable[[Sampling], Environment]:
    """A function from sampling settings to the environment: training and evaluation sample differently.

    Raises:
        RecipeError: there is no environment of this name, it cannot be imported, or it does not take these options.
    """
    if ":" not in name and name not in BUILT_IN:
        hint = did_you_mean(name, BUILT_IN)
        raise RecipeError(
            f"{KEY}: '{name}' is not known; {hint + ' ' if hint else ''}choose one of {', '.join(BUILT_IN)} or"
            " package.module:Class"
        )
    environment_class = import_dotted(BUILT_IN.get(name, name), KEY)
    if not callable(environment_class) or not _is_async(_method(environment_class, name)):
        raise RecipeError(f"{KEY}: {name} is not an environment: {_WANTED}")
    check_options(environment_class, name, options)
    if name in BUILT_IN:
        return lambda sampling: environment_class(tokenizer, sampling, **options)
    return lambda sampling: _construct(environment_class, name, tokenizer, sampling, options)


def _construct(
    environment_class: Any, name: str, tokenizer: Any, sampling: Sampling, options: Mapping[str, Any]
) -> Environment:
    """Raises RecipeError where the constructor raises."""
    construct = functools.partial(environment_class, tokenizer, sampling, **detached(dict(options)))
    environment: Environment = call_user_code(
        f"{KEY}: {name} cannot be constructed", construct, error_class=RecipeError
    )
    episode = _method(environment, name)
    if not _is_async(episode):
        raise RecipeError(f"{KEY}: {name} made {kind_of(environment)}, which is not an environment: {_WANTED}")
    try:
        signature = _signature(episode, f"{name}.episode")
        if signature is not None:
            signature.bind(None, None, None, None)
    except TypeError as error:
        raise RecipeError(
            f"{KEY}: {name}.episode cannot be called with (problem, rollout, seed, engine): {error}"
        ) from error
    return GuardedEnvironment(environment, name, _vocabulary(tokenizer))


def _vocabulary(tokenizer: Any) -> int | None:
    return None if tokenizer is None else max(len(tokenizer), tokenizer.vocab_size)


def _method(environment: Any, name: str) -> Any:
    """`episode` of a class or an object, or None. Raises RecipeError where looking for it raises."""
    return call_user_code(
        f"{KEY}: {name}.episode cannot be read", getattr, environment, "episode", None, error_class=RecipeError
    )


def _signature(function: Any, name: str) -> inspect.Signature | None:
    """None for what does not say, a class of an extension module. Raises RecipeError where asking raises."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None
    except Exception as error:  # the __signature__ of a foreign class
        raise RecipeError(f"{KEY}: the parameters of {name} cannot be read: {describe_error(error)}") from error


def _is_async(method: Any) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(method)) if callable(method) else False


def check_options(environment_class: type, name: str, options: Mapping[str, Any]) -> None:
    """Raises RecipeError where a call with (tokenizer, sampling, **options) does not fit the signature."""
    signature = _signature(environment_class, name)
    if signature is None:  # its constructor will say
        return
    parameters = list(signature.parameters.values())
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    known = [parameter.name for parameter in parameters[2:] if parameter.kind is not parameter.VAR_KEYWORD]
    unknown = [] if takes_any else [option for option in options if option not in known]
    if unknown:
        hint = did_you_mean(unknown[0], known)
        takes = f"it takes {', '.join(known)}" if known else "it takes no options"
        raise RecipeError(f"{KEY}.{unknown[0]}: {name} has no such option; {hint or takes}")
    try:
        signature.bind(None, None, **options)
    except TypeError as error:
        raise RecipeError(
            f"{KEY}: {name} cannot be called with (tokenizer, sampling, **options): {error}. Write what is missing as"
            f" keys of {KEY}, beside name"
        ) from error
