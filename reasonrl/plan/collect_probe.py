"""A dry run calls the labeller and the demonstrator of a stage of kind collect once, on a gold and a wrong solution."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from critics.steps import split_steps
from critics.types import Solution
from reasonrl.errors import RecipeError, TrainingError
from reasonrl.plugins import import_dotted
from reasonrl.recipe.schema import Recipe
from reasonrl.stages.critiques import critique_style
from reasonrl.stages.user_labels import user_demonstration, user_label
from reasonrl.user_code.guards import is_no_answer
from verifiers.types import Problem, Verifier

WRONG = "I do not know."
"""A response that every policy may write."""


def check_collecting(recipe: Recipe) -> None:
    """Find the functions that a stage of kind collect calls. Raises RecipeError where one cannot be called."""
    spec = recipe.collect
    if recipe.kind != "collect":
        return
    if spec.labeller is not None and spec.labeller != "monte_carlo":
        _check_function("collect.labeller", spec.labeller, 2, "(problem, solution)")
    if spec.demonstrator is not None:
        _check_function("collect.demonstrator", spec.demonstrator, 3, "(problem, solution, format)")


def probe_collecting(recipe: Recipe, verifier: Verifier, problems: Sequence[Problem]) -> list[str]:
    """Call them on solutions of the first problem. Returns what could not be tried: a function that asks a server which
    does not answer here.

    Raises RecipeError: what one of them raises or returns would stop the run.
    """
    if recipe.kind != "collect" or not problems:
        return []
    try:
        for solution in _solutions(recipe, verifier, problems[0]):
            _call(recipe, problems[0], solution)
    except TrainingError as error:
        if is_no_answer(error.__cause__):
            return [f"{error}: what it asks does not answer here"]
        raise RecipeError(str(error)) from error
    return []


def _call(recipe: Recipe, problem: Problem, solution: Solution) -> None:
    spec = recipe.collect
    index: int | None = None if solution.correct is None else -1 if solution.correct else 0
    if spec.labeller is not None and spec.labeller != "monte_carlo":
        index = user_label(import_dotted(spec.labeller, "collect.labeller"), problem, solution)
    unknown = index is None or (index == -1 and solution.correct is False)  # a stage leaves such solutions out
    if spec.demonstrator is None or unknown:
        return
    labelled = replace(solution, first_error=None if spec.labeller is None else index)
    demonstrate = import_dotted(spec.demonstrator, "collect.demonstrator")
    user_demonstration(demonstrate, problem, labelled, critique_style(recipe))


def _solutions(recipe: Recipe, verifier: Verifier, problem: Problem) -> list[Solution]:
    """The reference solution, and one without an answer, as far as the verifier can judge them."""
    texts = [WRONG]
    demonstration = problem.reference.get("demonstration")
    if isinstance(demonstration, str) and demonstration.strip():
        texts.insert(0, demonstration.strip())
    else:
        try:
            texts.insert(0, verifier.gold_response(problem.reference).strip())
        except ValueError:  # this verifier cannot write one
            pass
    texts = [text for text in texts if text]
    verdicts = verifier.verify(texts, [problem.reference] * len(texts))
    return [
        Solution(problem.id, text, split_steps(text, recipe.collect.steps), verdict.extracted, verdict.correct)
        for text, verdict in zip(texts, verdicts, strict=True)
        if verdict.correct is not None
    ]


def _check_function(key: str, path: str, arguments: int, called_with: str) -> None:
    function: Any = import_dotted(path, key)
    if not callable(function):
        raise RecipeError(f"{key}: {path} is of type {type(function).__name__}, not a function")
    try:
        inspect.signature(function).bind(*[None] * arguments)
    except TypeError as error:
        raise RecipeError(f"{key}: {path} cannot be called with {called_with}: {error}") from error
    except ValueError:  # some functions of extension modules do not declare their parameters
        return
