"""A labeller and a demonstrator of the user's own: what they raise or return is one message."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from critics.types import Solution
from reasonrl.errors import TrainingError
from reasonrl.stages.user_labels import user_demonstration, user_label
from verifiers.types import Problem

PROBLEM = Problem("p", "1 + 2", "math", {"answer": "3"})
SOLUTION = Solution("p", "a\nb", ("a", "b"), "3", True)


@pytest.mark.parametrize(("index", "expected"), [(-1, -1), (0, 0), (1, 1), (None, None), (np.int64(1), 1), (1.0, 1)])
def test_a_labeller_returns_the_index_of_a_step(index: Any, expected: int | None) -> None:
    label = user_label(lambda problem, solution: index, PROBLEM, SOLUTION)
    assert label == expected
    assert type(label) is type(expected)


@pytest.mark.parametrize("index", [2, -2, True, 0.5, "0", [0], float("nan"), object(), 10**30])
def test_a_labeller_that_names_no_step_is_one_message(index: Any) -> None:
    message = r"^collect\.labeller: returned .* for a solution of problem p with 2 steps; return the index .*\(0 to 1\)"
    with pytest.raises(TrainingError, match=message):
        user_label(lambda problem, solution: index, PROBLEM, SOLUTION)


@pytest.mark.parametrize("text", [None, 3, ["a"], b"a"])
def test_a_demonstrator_that_writes_no_text_is_one_message(text: Any) -> None:
    with pytest.raises(TrainingError, match=r"^collect\.demonstrator: returned .* for problem p; return the text"):
        user_demonstration(lambda problem, solution, style: text, PROBLEM, SOLUTION, {})


def test_both_get_copies_and_their_errors_name_the_line() -> None:
    def label(problem: Problem, solution: Solution) -> int:
        problem.reference.clear()
        return -1

    assert user_label(label, PROBLEM, SOLUTION) == -1
    assert PROBLEM.reference == {"answer": "3"}

    def demonstrate(problem: Problem, solution: Solution, style: dict[str, Any]) -> str:
        style.pop("name")
        return str(problem.reference["gold"])

    style = {"name": "x"}
    with pytest.raises(TrainingError, match=r"^collect\.demonstrator: KeyError: 'gold' \(.*test_user_labels\.py, line"):
        user_demonstration(demonstrate, PROBLEM, SOLUTION, style)
    assert style == {"name": "x"}
