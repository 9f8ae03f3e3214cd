"""The types that every critic format, reward and metric passes on.

Step indices count from 0 everywhere, whatever a paper or a prompt counts from, and -1 means "no step is wrong". None
means "not known" or "could not be read", never "wrong": an unread critique is a third outcome beside right and wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any, Literal, get_args

from verifiers.types import Problem

ParseStatus = Literal["ok", "missing", "conflict", "malformed"]


class Judgement(StrEnum):
    """What a critic says of a solution or of a step. None stands for a judgement that could not be read."""

    CORRECT = "correct"
    INCORRECT = "incorrect"


def _check_judgement(owner: str, judgement: object) -> None:
    # A StrEnum equals its text, so a plain text would pass every comparison and fail on `is` much later.
    if judgement is not None and not isinstance(judgement, Judgement):
        raise TypeError(f"the judgement of a {owner} must be a Judgement or None, not {judgement!r}")


def _check_bool(owner: str, name: str, value: object) -> None:
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"{name} of a {owner} must be True, False or None, not {value!r}")


def _check_index(owner: str, name: str, value: object, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} of a {owner} must be a whole number, not {value!r}")
    if value < low:
        raise ValueError(f"{name} of a {owner} must be at least {low}, not {value}")


@dataclass(frozen=True, slots=True)
class Solution:
    """What a critic reads: one attempt at a problem.

    `correct` is about the final answer, `first_error` about the steps. The two may disagree, as they do in
    ProcessBench: a correct answer can follow from an incorrect step.
    """

    problem_id: str
    text: str
    steps: tuple[str, ...] = ()
    answer: str | None = None
    correct: bool | None = None
    """Whether the final answer is right; None when nobody has judged it."""
    first_error: int | None = None
    """Index of the first wrong step from 0; -1 when no step is wrong; None when it is not known."""

    def __post_init__(self) -> None:
        if not self.problem_id:
            raise ValueError("a Solution needs the id of its problem")
        if not isinstance(self.steps, tuple) or not all(isinstance(step, str) for step in self.steps):
            raise TypeError("the steps of a Solution must be a tuple of strings")
        _check_bool("Solution", "correct", self.correct)
        if self.first_error is not None:
            _check_index("Solution", "first_error", self.first_error, -1)
            if self.first_error >= 0 and not self.steps:
                raise ValueError(f"first_error of a Solution is {self.first_error}, but it is not split into steps")
            if self.first_error >= max(1, len(self.steps)):
                raise ValueError(
                    f"first_error of a Solution is {self.first_error}, but it has {len(self.steps)} steps (they count"
                    " from 0)"
                )

    @property
    def last_step_correct(self) -> bool | None:
        """Whether the last step is right; None when that is not known, as for a step that follows from a wrong one."""
        if self.first_error is None or -1 < self.first_error < len(self.steps) - 1:
            return None
        return self.first_error == -1


@dataclass(frozen=True, slots=True)
class StepJudgement:
    """What a critic says of one step."""

    index: int
    """From 0."""
    judgement: Judgement | None
    comment: str = ""

    def __post_init__(self) -> None:
        _check_index("StepJudgement", "index", self.index, 0)
        _check_judgement("StepJudgement", self.judgement)


@dataclass(frozen=True, slots=True)
class Critique:
    """What a critic wrote, and what was read out of it.

    `parse_status` is about the overall judgement: ok (exactly one), missing (none), conflict (both were given),
    malformed (not in the format). A judgement exists exactly when it is ok, so that nothing can reward a critique that
    says both.
    """

    text: str
    judgement: Judgement | None
    steps: tuple[StepJudgement, ...] = ()
    first_error: int | None = None
    """Index of the step that the critic calls the first wrong one, from 0; -1 when it says that none is; None when it
    does not say.
    """
    feedback: str = ""
    """The part that goes to the model that refines."""
    score: float | None = None
    """A graded judgement in [0, 1], for the formats that have one."""
    parse_status: ParseStatus = "ok"

    def __post_init__(self) -> None:
        _check_judgement("Critique", self.judgement)
        if self.parse_status not in get_args(ParseStatus):
            raise ValueError(
                f"parse_status of a Critique is one of {', '.join(get_args(ParseStatus))}, not {self.parse_status!r}"
            )
        if (self.judgement is not None) != (self.parse_status == "ok"):
            raise ValueError(
                f"a Critique with parse_status {self.parse_status!r} cannot have the judgement {self.judgement!r}"
            )
        if not isinstance(self.steps, tuple) or not all(isinstance(step, StepJudgement) for step in self.steps):
            raise TypeError("the steps of a Critique must be a tuple of StepJudgement")
        indices = [step.index for step in self.steps]
        if any(later <= earlier for earlier, later in pairwise(indices)):
            raise ValueError(f"the steps of a Critique are in order and each is judged once, not {indices}")
        if self.first_error is not None:
            _check_index("Critique", "first_error", self.first_error, -1)
        if self.score is not None and not (math.isfinite(self.score) and 0.0 <= self.score <= 1.0):
            raise ValueError(f"the score of a Critique must be in [0, 1], not {self.score}")


@dataclass(frozen=True, slots=True)
class Refinement:
    """A solution that was written again after a critique."""

    text: str
    answer: str | None
    correct: bool | None
    """Whether its final answer is right; None when it could not be judged."""
    index: int
    """Which of the refinements of its critique, from 0."""

    def __post_init__(self) -> None:
        _check_index("Refinement", "index", self.index, 0)
        _check_bool("Refinement", "correct", self.correct)


@dataclass(slots=True)
class CriticEpisode:
    """One critique with all that its rewards look at: what it criticises and what became of it."""

    problem: Problem
    solution: Solution
    critique: Critique
    refinements: list[Refinement] = field(default_factory=list)
    opponent: dict[str, Any] = field(default_factory=dict)
    """The other side of a game: the step that was corrupted, and who won."""
    info: dict[str, Any] = field(default_factory=dict)
    """Numbers from elsewhere, such as the success rate of the solver on this problem."""

    def __post_init__(self) -> None:
        if self.solution.problem_id != self.problem.id:
            raise ValueError(
                f"the solution belongs to problem {self.solution.problem_id!r}, the episode to {self.problem.id!r}"
            )
        places = [refinement.index for refinement in self.refinements]
        if places != list(range(len(places))):
            raise ValueError(f"the refinements of an episode count 0, 1, 2, ..., not {places}")
        known = len(self.solution.steps)
        beyond = [step.index for step in self.critique.steps if known and step.index >= known]
        if beyond:
            raise ValueError(
                f"the critique judges steps {beyond}, but the solution has {known} steps (they count from 0)"
            )
