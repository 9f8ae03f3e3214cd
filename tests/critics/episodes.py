"""Episodes for the tests of rewards and metrics, built from what matters of them."""

from __future__ import annotations

from collections.abc import Sequence

from critics import CriticEpisode, Critique, Judgement, Refinement, Solution
from critics.types import ParseStatus
from verifiers.types import Problem

CORRECT, INCORRECT = Judgement.CORRECT, Judgement.INCORRECT


def episode(
    correct: bool | None,
    judgement: Judgement | None,
    refined: Sequence[bool | None] = (),
    *,
    steps: int = 2,
    first_error: int | None = None,
    named: int | None = None,
    status: ParseStatus = "missing",
    feedback: str = "",
    gold: str = "8",
    text: str = "3 + 4 = 7\n7 + 2 = 9",
) -> CriticEpisode:
    problem = Problem("p", "3 + 4 + 1", "critique", {"answer": gold})
    solution = Solution("p", text, tuple(f"step {i}" for i in range(steps)), None, correct, first_error)
    critique = Critique(
        feedback, judgement, first_error=named, feedback=feedback, parse_status="ok" if judgement else status
    )
    return CriticEpisode(
        problem, solution, critique, [Refinement("", None, value, i) for i, value in enumerate(refined)]
    )
