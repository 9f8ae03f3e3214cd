"""Sums in steps: right ones are right, one error is one error, and demonstrations are what they say."""

from __future__ import annotations

import random
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from critics.formats import load_format
from critics.sneaky import spoilt_step
from critics.types import Judgement, Solution
from reasonrl.data import load_problems
from reasonrl.data.expressions import evaluate
from reasonrl.data.step_arithmetic import step_arithmetic
from reasonrl.data.step_demonstrations import ERRORS, comments, demonstration, spoilt, spoilt_line
from reasonrl.data.step_sums import correction, first_error, step, worked
from reasonrl.errors import DataError

SUMS = st.lists(st.tuples(st.sampled_from("+-"), st.integers(0, 50)), min_size=1, max_size=5).map(
    lambda pairs: "40 " + " ".join(f"{sign} {number}" for sign, number in pairs)
)


@given(SUMS)
def test_worked(question: str) -> None:
    steps = worked(question)
    assert int(steps[-1].rpartition(" ")[2]) == evaluate(question) and first_error(question, steps) == -1


@given(SUMS, st.integers(0, 100))
def test_one_error_is_found_and_corrected(question: str, seed: int) -> None:
    steps = spoilt(question, random.Random(seed))
    wrong = first_error(question, steps)
    right = worked(question)
    assert 0 <= wrong < len(steps) and steps[:wrong] == right[:wrong] and steps[wrong] != right[wrong]
    assert correction(question, steps, wrong) == right[wrong]
    solution = Solution("p", "\n".join(steps), steps, None, False, wrong)
    assert [bool(comment) for comment in comments(question, solution)] == [i == wrong for i in range(len(steps))]


@given(SUMS, st.sampled_from(ERRORS), st.integers(0, 100))
def test_a_step_is_spoilt_with_every_kind_of_error(question: str, error: str, seed: int) -> None:
    steps = worked(question)
    at = seed % len(steps)
    spoilt_one = spoilt_line(steps[at], error, random.Random(seed))
    assert first_error(question, [*steps[:at], spoilt_one]) == at
    if error != "form":
        before, sign, number, _, _ = spoilt_one.split()
        calculated = step(int(before), sign, int(number))[0] == spoilt_one
        assert calculated is (error in ("number", "start"))


@pytest.mark.parametrize(
    ("steps", "index"),
    [
        (["12 + 7 = 19", "19 - 5 = 14"], -1),
        (["12 + 7 = 18", "18 - 5 = 13"], 0),
        (["12 + 7 = 19", "18 - 5 = 13"], 1),
        (["12 + 7 = 19"], 0),
        (["12 + 7 = 19", "19 - 5 = 14", "14 + 0 = 14"], 2),
        (["12+7=19"], 0),
        (["hello", "19 - 5 = 14"], 0),
        (["12 - 5 = 7", "7 + 7 = 14"], 0),
    ],
)
def test_first_error(steps: list[str], index: int) -> None:
    assert first_error("12 + 7 - 5", steps) == index


def test_problems_and_their_demonstrations() -> None:
    options = {
        "size": 60,
        "tasks": {"solve": 1, "refine": 1, "critique": 1, "spoil": 1},
        "format": {"name": "step_sentence", "instruction": "Check."},
    }
    problems = load_problems("step_arithmetic", options=options)
    assert len({p.id for p in problems}) == 60 and {p.meta["task"] for p in problems} == {
        "solve",
        "refine",
        "critique",
        "spoil",
    }
    form = load_format("step_sentence")
    for problem in problems:
        question, said = problem.meta["question"], problem.reference["demonstration"]
        if problem.meta["task"] == "critique":
            assert (
                form.parse(said).judgement in (Judgement.CORRECT, Judgement.INCORRECT)
                and "Check." in problem.prompt[-1]["content"]
            )
        elif problem.meta["task"] == "spoil":
            right = problem.prompt[-1]["content"].split("<step>\n")[1].split("\n</step>")[0]
            assert right in worked(question) and spoilt_step(said, right) is not None
        else:
            assert said == "\n".join(worked(question)) and said.endswith(f"= {problem.reference['answer']}")
        if problem.meta["task"] == "refine":
            assert [m["role"] for m in problem.prompt] == ["user", "assistant", "user"]


def test_sides_share_nothing_and_sizes_nest() -> None:
    questions = [
        {p.meta["question"] for p in load_problems("step_arithmetic", options={"size": 200, "terms": 3}, split=s)}
        for s in ("train", "test")
    ]
    assert not questions[0] & questions[1]
    few, many = (load_problems("step_arithmetic", options={"size": size}) for size in (10, 20))
    assert [p.prompt for p in few] == [p.prompt for p in many[:10]]


def test_demonstration_of_a_right_solution() -> None:
    problem = load_problems("step_arithmetic", options={"size": 1, "terms": 3})[0]
    steps = worked(problem.meta["question"])
    text = demonstration(
        problem, Solution(problem.id, "\n".join(steps), steps, None, True, -1), {"name": "step_sentence"}
    )
    assert (
        text.count("Correctness of the step: Correct") == 2
        and text.endswith("final answer: Correct")
        and "Explanation" not in text
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the option size is missing"),
        ({"size": 3, "tasks": {"solv": 1}}, "Did you mean|Tasks are"),
        ({"size": 3, "split": "dev"}, "train or test"),
        ({"size": 3, "low": 5, "high": 2}, "low <= high"),
        ({"size": 500, "terms": 2, "high": 3}, "only .* different sums"),
        ({"size": 1, "sise": 2}, "sise"),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_problems("step_arithmetic", options=options)


def test_critiques_of_the_last_step_end_in_it() -> None:
    options = {"size": 40, "tasks": {"critique": 1}, "format": {"name": "answer_tag"}, "error_rate": 0.5}
    said = [p.reference["demonstration"] for p in load_problems("step_arithmetic", options=options)]
    assert {text.rpartition("<Answer>")[2] for text in said} == {"Correct</Answer>", "Incorrect</Answer>"}


def test_a_false_critique_is_followed() -> None:
    """Whoever refines does what the critique says: nothing, or the step that it asks for and what follows from that."""
    options = {"size": 60, "terms": 4, "tasks": {"refine": 1}, "error_rate": 0.5, "false_critiques": 1.0}
    kinds = Counter[str]()
    for problem in step_arithmetic(options):
        question = problem.meta["question"]
        _, before, turn = (message["content"] for message in problem.prompt)
        steps, refined = before.split("\n"), problem.reference["demonstration"].split("\n")
        blamed = [word == "Wrong" for word in re.findall(r"Correctness of the step: (\w+)", turn)]
        assert problem.reference["answer"] == refined[-1].rpartition(" ")[2]
        if True not in blamed:
            kinds["calls a wrong solution right"] += 1
            assert first_error(question, steps) >= 0 and refined == steps
        else:
            kinds["blames another step"] += 1
            index = blamed.index(True)
            assert index != first_error(question, steps) and refined[:index] == steps[:index]
            assert f"Explanation: {refined[index]}\n" in turn and refined[index] != correction(question, steps, index)
            true = first_error(question, steps)
            # An earlier error stays; otherwise the false step is the first one, and what follows from it is consistent.
            assert first_error(question, refined) == (true if 0 <= true < index else index) and len(refined) == 3
    assert min(kinds.values()) > 10 and len(kinds) == 2


def test_sums_can_be_repeated() -> None:
    options = {"size": 20, "repeat": 3, "tasks": {"refine": 1, "critique": 1}}
    problems = step_arithmetic(options)
    assert len({problem.id for problem in problems}) == len(problems) == 60
    assert len({problem.meta["question"] for problem in problems}) == 20
    assert len({str(problem.prompt) for problem in problems}) > 50, "their tasks and errors are drawn anew"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 2**31}, "size must be a whole number from 1 to 10,000,000, not 2147483648"),
        ({"size": "5"}, "size must be a whole number from 1 to 10,000,000, not '5'"),
        ({"repeat": 0}, "repeat must be a whole number from 1, and with size give 10,000,000 at most, not 0"),
        ({"repeat": 10**7}, "repeat must be a whole number from 1"),
        ({"terms": 10**7}, "needs terms from 2 to 50"),
        ({"high": 10**30}, "0 <= low <= high <= 999,999,999"),
        ({"most": -1}, "most must be a whole number from 0 to 999,999,999, not -1"),
        ({"seed": 1.5}, "seed must be a whole number, not 1.5"),
        ({"test_share": float("nan")}, "test_share must be a number from 0 to 1, not nan"),
        ({"error_rate": 1.5}, "error_rate must be a number from 0 to 1, not 1.5"),
        ({"error_rate": True}, "error_rate must be a number from 0 to 1, not True"),
        ({"false_critiques": -1}, "false_critiques must be a number from 0 to 1, not -1"),
        ({"tasks": ["solve"]}, "tasks must give shares to solve, refine, critique, spoil, not be ['solve']"),
        ({"tasks": {"sovle": 1}}, "tasks gives 'sovle' the share 1. Did you mean 'solve'? Write numbers from 0 for"),
        ({"tasks": {"solve": float("nan")}}, "tasks gives 'solve' the share nan. Write numbers from 0 for"),
        ({"tasks": {"solve": 0}}, "the shares of tasks add up to 0 or to infinity"),
        ({"tasks": {"solve": 1e308, "refine": 1e308}}, "the shares of tasks add up to 0 or to infinity"),
        ({"split": "tset"}, "split must be train or test, not 'tset'"),
        ({"format": "nope"}, "the format 'nope' cannot be used: "),
        ({"format": {"nam": "x"}}, "the format {'nam': 'x'} has no name"),
        ({"sneaky_prompt": {"x": "y"}}, "sneaky_prompt must be texts for "),
    ],
)
def test_an_option_that_cannot_be_used_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError) as caught:
        step_arithmetic({"size": 5, **options})
    assert words in str(caught.value)
    assert str(caught.value).startswith("step_arithmetic: ")


def test_a_format_is_a_word_or_a_section() -> None:
    tasks = {"size": 4, "tasks": {"critique": 1.0}}
    assert step_arithmetic({**tasks, "format": "step_sentence"}) == step_arithmetic(tasks)
    assert step_arithmetic({**tasks, "format": {"name": "step_sentence"}}) == step_arithmetic(tasks)
