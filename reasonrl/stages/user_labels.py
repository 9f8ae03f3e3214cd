"""A labeller and a demonstrator of the user's own: what they raise or return is one message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from critics.types import Solution
from reasonrl.errors import TrainingError
from reasonrl.user_code.guards import call_user_code, detached, detached_problem, kind_of, shown
from verifiers.types import Problem

StepLabeller = Callable[[Problem, Solution], int | None]
"""A labeller of users: the index of the first wrong step, -1 without one, None where it does not know."""

Demonstrator = Callable[[Problem, Solution, dict[str, Any]], str]
"""A demonstrator of users: from a problem, a solution and the critique format to the text of a true critique."""


def user_label(label: StepLabeller, problem: Problem, solution: Solution) -> int | None:
    """Raises TrainingError where the labeller raises, or returns what is not the index of a step, -1 or None."""
    key = "collect.labeller"
    index = call_user_code(key, label, detached_problem(problem), solution)
    if index is None:
        return None
    steps = len(solution.steps)
    try:
        whole = int(index)
        fits = whole == index and not isinstance(index, bool) and -1 <= whole < steps
    except Exception:  # __int__ of a foreign type may raise anything
        fits = False
    if not fits:
        raise TrainingError(
            f"{key}: returned {shown(index)} for a solution of problem {problem.id} with {steps} steps; return the"
            f" index of the first incorrect step (0 to {steps - 1}), -1 for none, or None where it is not known"
        )
    return whole


def user_demonstration(demonstrate: Demonstrator, problem: Problem, solution: Solution, style: dict[str, Any]) -> str:
    """Raises TrainingError where the demonstrator raises, or does not return a text."""
    key = "collect.demonstrator"
    text = call_user_code(key, demonstrate, detached_problem(problem), solution, detached(style))
    if not isinstance(text, str):
        raise TrainingError(f"{key}: returned {kind_of(text)} for problem {problem.id}; return the text of a critique")
    return text
