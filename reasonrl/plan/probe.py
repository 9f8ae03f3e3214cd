"""A dry run calls the user's own code once, on gold and on empty responses: what would break the run breaks the
plan.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from reasonrl.environments.base import Episode, Trajectory
from reasonrl.environments.loading import BUILT_IN
from reasonrl.environments.single_turn import encode_prompt
from reasonrl.errors import RecipeError, TrainingError
from reasonrl.plugins import import_dotted
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.base import RewardPart
from reasonrl.rewards.scoring import score_episodes
from reasonrl.setup.environments import EnvironmentFor, rollout_sampling
from reasonrl.setup.run_models import runs_elsewhere
from verifiers.types import Problem, Verifier

PROBED = 2
"""Problems that are tried, each with a whole group of responses: a function may compare those of a prompt."""

Notes = tuple[list[str], list[str]]
"""Warnings, and what could not be tried here."""


def probe_environment(recipe: Recipe, tokenizer: Any, environment_for: EnvironmentFor) -> None:
    """Construct the environment of the user's own. Raises RecipeError where it cannot be."""
    if tokenizer is not None and recipe.rollout.environment.name not in BUILT_IN:
        environment_for(rollout_sampling(recipe))


def probe_collecting(recipe: Recipe) -> None:
    """Find the functions that a stage of kind collect calls. Raises RecipeError where one cannot be called."""
    spec = recipe.collect
    if recipe.kind != "collect":
        return
    if spec.labeller is not None and spec.labeller != "monte_carlo":
        _check_function("collect.labeller", spec.labeller, 2, "(problem, solution)")
    if spec.demonstrator is not None:
        _check_function("collect.demonstrator", spec.demonstrator, 3, "(problem, solution, format)")


def probe_rewards(
    recipe: Recipe, parts: Sequence[RewardPart], verifier: Verifier, problems: Sequence[Problem], tokenizer: Any
) -> Notes:
    """Call each reward function on gold and empty responses. (Verifiers are tried by `reasonrl.plan.checks`.)

    A function that looks at episodes is not tried where the user's own environment plays them: only that knows what it
    notes in them.

    Raises RecipeError: what one of them raises or returns would stop the run.
    """
    warnings: list[str] = []
    untried: list[str] = []
    if not problems or recipe.critic is not None:
        return warnings, untried
    own_environment = recipe.rollout.environment.name not in BUILT_IN
    episodes = probe_episodes(recipe, verifier, problems[:PROBED], tokenizer)
    batches = [[episode] for episode in episodes] if runs_elsewhere(recipe) else [episodes]  # as the trainers do
    for part in [*parts[:1], *(part for part in parts[1:] if part.verifier is None)]:
        if part.episodes is not None and own_environment:
            untried.append(
                f"reward.{part.name}.function looks at episodes, which only {recipe.rollout.environment.name} can play"
            )
            continue
        try:
            for batch in batches:
                score_episodes(batch, [part], on_timeout=recipe.train.on_timeout, step=1)
        except TrainingError as error:
            if isinstance(error.__cause__, ConnectionError | TimeoutError):
                untried.append(f"{error}: what it asks does not answer here")
                continue
            raise RecipeError(str(error)) from error
        if part.verifier is None and (warning := _constant(part, episodes)) is not None:
            warnings.append(warning)
    return warnings, untried


def probe_episodes(recipe: Recipe, verifier: Verifier, problems: Sequence[Problem], tokenizer: Any) -> list[Episode]:
    """A group for each problem, of its gold response and empty ones in turn."""
    episodes: list[Episode] = []
    for problem in problems:
        gold = _gold(verifier, problem)
        prompt_ids = [0] if tokenizer is None else encode_prompt(tokenizer, problem)
        for rollout in range(recipe.rollout.rollouts_per_prompt):
            text = gold if len(episodes) % 2 == 0 else ""
            ids = [0] if tokenizer is None else [*tokenizer(text, add_special_tokens=False)["input_ids"]]
            ids = ids or [int(tokenizer.eos_token_id or 0)]
            trajectory = Trajectory("policy", prompt_ids, ids, [True] * len(ids), [-1.0] * len(ids), text, "stop")
            episodes.append(Episode(problem, rollout, recipe.seed, [trajectory]))
    return episodes


def _constant(part: RewardPart, episodes: Sequence[Episode]) -> str | None:
    """A function that cannot tell a gold response from an empty one."""
    values = {episode.reward_parts[part.name] for episode in episodes}
    if len(values) > 1 or part.weight == 0 or len(episodes) < 2:
        return None
    (value,) = values
    if value is None:
        return (
            f"reward.{part.name}.function: returned None for gold and for empty responses. None masks a rollout, and a"
            " run whose rollouts are all masked learns nothing"
        )
    return (
        f"reward.{part.name}.function: returned {value:g} for gold and for empty responses alike; a constant teaches"
        " nothing"
    )


def _gold(verifier: Verifier, problem: Problem) -> str:
    """Empty for a verifier that cannot write one."""
    try:
        return verifier.gold_response(problem.reference)
    except ValueError:
        return ""


def _check_function(key: str, path: str, arguments: int, called_with: str) -> None:
    function = import_dotted(path, key)
    if not callable(function):
        raise RecipeError(f"{key}: {path} is of type {type(function).__name__}, not a function")
    try:
        inspect.signature(function).bind(*[None] * arguments)
    except TypeError as error:
        raise RecipeError(f"{key}: {path} cannot be called with {called_with}: {error}") from error
    except ValueError:  # some functions of extension modules do not declare their parameters
        return
