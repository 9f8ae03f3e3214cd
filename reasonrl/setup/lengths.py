"""Whether prompts and responses fit a model, and the cache of its engine, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reasonrl.engines.vllm_setup import LONGEST
from reasonrl.environments.single_turn import encode_prompt
from reasonrl.errors import RecipeError
from reasonrl.models.architecture import most_positions, steady_positions
from reasonrl.models.cache_size import row_gib
from reasonrl.models.devices import choose_device, computed_dtype
from reasonrl.recipe.schema import Recipe
from reasonrl.setup.run_models import runs_elsewhere
from verifiers.types import Problem


def check_lengths(recipe: Recipe, tokenizer: Any, config: Any, problems: list[Problem]) -> int:
    """Tokens of the longest prompt.

    Raises:
        RecipeError: a prompt cannot be encoded, or does not fit the model together with the longest response, or the
        cache of `rollout.engine: hf` does not.
    """
    try:
        lengths = [len(encode_prompt(tokenizer, problem)) for problem in problems]
    except ValueError as error:
        raise RecipeError(str(error)) from error
    longest = max(lengths)
    limit = getattr(config.get_text_config(), "max_position_embeddings", None)
    if limit is not None and longest + recipe.rollout.response_limit > limit:
        problem = problems[lengths.index(longest)]
        key = f"rollout.max_{'new' if recipe.rollout.max_response_tokens is None else 'response'}_tokens"
        raise RecipeError(
            f"{key}: the prompt of problem {problem.id} has {longest} tokens, and with"
            f" {recipe.rollout.response_limit} response tokens it exceeds the model's {limit} positions. Lower"
            f" {key}, or leave out long prompts"
        )
    if not runs_elsewhere(recipe):
        _check_frequencies(recipe, config, longest)
        if recipe.rollout.engine == "hf":
            check_cache(recipe, config, longest)
        elif recipe.rollout.engine == "vllm":
            _check_vllm(recipe, longest)
    return longest


def check_cache(recipe: Recipe, config: Any, longest_prompt: int) -> None:
    """Raises RecipeError where `rollout.cache_gib` does not hold one row."""
    limit = recipe.rollout.cache_gib
    if limit is None:
        return
    tokens = longest_prompt + recipe.rollout.response_limit
    needed = row_gib(config, computed_dtype(recipe.model.dtype, choose_device(recipe.device)), tokens)
    if needed > limit:
        raise RecipeError(
            f"rollout.cache_gib: {limit:.3g} GiB does not hold one row of {tokens} tokens: that takes {needed:.2g}."
            " Write more, or lower rollout.max_new_tokens"
        )


def _check_vllm(recipe: Recipe, longest_prompt: int) -> None:
    limit, tokens = recipe.rollout.vllm.max_model_len or LONGEST, longest_prompt + recipe.rollout.response_limit
    if tokens > limit:
        raise RecipeError(
            f"rollout.vllm.max_model_len: the longest prompt has {longest_prompt} tokens, and with"
            f" {recipe.rollout.response_limit} response tokens it exceeds {limit}. Write at least {tokens}, or lower"
            " rollout.max_new_tokens"
        )


def _check_frequencies(recipe: Recipe, config: Any, longest_prompt: int) -> None:
    steady, tokens = steady_positions(config), longest_prompt + recipe.rollout.response_limit
    if steady is not None and tokens > steady:
        raise RecipeError(
            f"rollout.max_new_tokens: this model turns its keys otherwise as soon as one row of a batch has more than"
            f" {steady} tokens (LongRoPE), and a row here may have {tokens}: what is computed would depend on its"
            " company. Write less, or leave out long prompts"
        )


def fitting_problems(recipe: Recipe, tokenizer: Any, config: Any, problems: Sequence[Problem]) -> list[Problem]:
    """Those whose prompt fits the model together with the longest response.

    Raises:
        RecipeError: a prompt cannot be encoded.
    """
    limit = most_positions(config)
    try:
        lengths = [len(encode_prompt(tokenizer, problem)) for problem in problems]
    except ValueError as error:
        raise RecipeError(str(error)) from error
    pairs = zip(problems, lengths, strict=True)
    return [problem for problem, length in pairs if limit is None or length + recipe.rollout.response_limit <= limit]
