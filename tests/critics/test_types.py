"""What the critics' types refuse."""

from __future__ import annotations

import dataclasses

import pytest

from critics import CriticEpisode, Critique, Judgement, Refinement, Solution, StepJudgement
from verifiers.types import Problem

PROBLEM = Problem("p1", "1+1?", "math", {"answer": "2"})
SOLUTION = Solution("p1", "1+1=3", steps=("1+1", "=3"), answer="3", correct=False, first_error=1)
CRITIQUE = Critique(
    "Step 2 is wrong.",
    Judgement.INCORRECT,
    (StepJudgement(0, Judgement.CORRECT), StepJudgement(1, Judgement.INCORRECT)),
    1,
)


def test_an_episode_of_good_parts() -> None:
    episode = CriticEpisode(
        PROBLEM, SOLUTION, CRITIQUE, [Refinement("2", "2", True, 0), Refinement("?", None, None, 1)]
    )
    assert episode.critique.judgement is Judgement("incorrect")
    assert episode.info == {} and episode.info is not CriticEpisode(PROBLEM, SOLUTION, CRITIQUE).info
    with pytest.raises(dataclasses.FrozenInstanceError):
        SOLUTION.text = "2"  # type: ignore[misc]


def test_a_right_answer_may_stand_on_a_wrong_step_and_the_other_way_round() -> None:
    assert Solution("p", "t", ("a", "b"), "2", correct=True, first_error=0).first_error == 0
    assert Solution("p", "t", ("a", "b"), "3", correct=False, first_error=-1).first_error == -1
    assert Solution("p", "t", first_error=-1).steps == ()


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"problem_id": ""}, "id of its problem"),
        ({"steps": ["a"]}, "tuple of strings"),
        ({"steps": (1,)}, "tuple of strings"),
        ({"correct": 1}, "True, False or None"),
        ({"first_error": 2}, "2 steps"),
        ({"first_error": -2}, "at least -1"),
        ({"first_error": True}, "whole number"),
        ({"first_error": 1.0}, "whole number"),
        ({"steps": (), "first_error": 0}, "not split into steps"),
    ],
)
def test_solution(fields: dict, error: str) -> None:
    with pytest.raises((ValueError, TypeError), match=error):
        dataclasses.replace(SOLUTION, **fields)


@pytest.mark.parametrize("status", ["missing", "conflict", "malformed"])
def test_a_judgement_exists_exactly_when_it_was_read(status: str) -> None:
    assert Critique("?", None, parse_status=status).judgement is None
    with pytest.raises(ValueError, match=status):
        Critique("?", Judgement.CORRECT, parse_status=status)
    with pytest.raises(ValueError, match="ok"):
        Critique("?", None)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"judgement": "incorrect"}, "must be a Judgement or None"),
        ({"parse_status": "fine"}, "ok, missing, conflict, malformed"),
        ({"steps": ("a",)}, "tuple of StepJudgement"),
        ({"steps": (StepJudgement(1, None), StepJudgement(1, None))}, "judged once"),
        ({"steps": (StepJudgement(1, None), StepJudgement(0, None))}, "in order"),
        ({"first_error": -2}, "at least -1"),
        ({"score": 1.5}, r"\[0, 1\]"),
        ({"score": float("nan")}, r"\[0, 1\]"),
    ],
)
def test_critique(fields: dict, error: str) -> None:
    with pytest.raises((ValueError, TypeError), match=error):
        dataclasses.replace(CRITIQUE, **fields)


def test_steps_and_refinements() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        StepJudgement(-1, None)
    with pytest.raises(TypeError, match="Judgement"):
        StepJudgement(0, "correct")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 0"):
        Refinement("", None, None, -1)
    with pytest.raises(TypeError, match="True, False or None"):
        Refinement("", None, 0, 0)  # type: ignore[arg-type]


def test_the_parts_of_an_episode_belong_together() -> None:
    with pytest.raises(ValueError, match="'p2'"):
        CriticEpisode(PROBLEM, Solution("p2", "t"), CRITIQUE)
    with pytest.raises(ValueError, match="count 0, 1, 2"):
        CriticEpisode(PROBLEM, SOLUTION, CRITIQUE, [Refinement("", None, None, 1)])
    with pytest.raises(ValueError, match=r"judges steps \[5\]"):
        CriticEpisode(PROBLEM, SOLUTION, dataclasses.replace(CRITIQUE, steps=(StepJudgement(5, None),)))


def test_the_last_step_behind_a_wrong_one_has_no_label() -> None:
    steps = ("a", "b", "c")
    known = {-1: True, 0: None, 1: None, 2: False, None: None}
    assert {index: Solution("p", "a", steps, first_error=index).last_step_correct for index in known} == known
