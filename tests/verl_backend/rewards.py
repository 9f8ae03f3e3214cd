"""A reward function that hangs on some problems, as a call to a service that is gone would."""

from __future__ import annotations

import time
from collections.abc import Sequence

from verifiers.types import Problem


def hangs(problem: Problem) -> bool:
    return int(problem.reference["answer"]) % 4 == 0


def sometimes_stuck(responses: Sequence[str], problems: Sequence[Problem]) -> list[float]:
    while any(hangs(problem) for problem in problems):
        time.sleep(1)
    return [0.0] * len(responses)
