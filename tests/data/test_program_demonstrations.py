"""Programs of a model as trees, and demonstrations of criticising and of refining them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from critics.formats import load_format
from critics.types import Judgement, Solution
from reasonrl.data.load import load_problems
from reasonrl.data.program_demonstrations import (
    NO_PROGRAM,
    demonstration,
    shown_values,
    worked_values,
)
from reasonrl.data.program_source import read_program, values_of
from reasonrl.data.program_trees import text, value
from reasonrl.data.programs import programs
from reasonrl.errors import DataError
from reasonrl.models.tiny import PROGRAM_CRITIC, build_tokenizer
from tests.data.test_programs import trees
from verifiers.types import Problem

FORMAT = {"name": "conclusion", "instruction": "Check.", "refine_instruction": "Again."}
OPTIONS = {"size": 60, "repeat": 4, "seed": 5, "format": FORMAT}
QUESTION = "f(0) == 1\nf(1) == 3\nf(2) == 5"


def executed(source: str, given: tuple[int, ...]) -> Any:
    """The value by Python itself. Only for programs that a test has written."""
    space: dict[str, Any] = {"__builtins__": {"max": max, "min": min, "abs": abs}}
    exec(source, space)
    return space["f"](*given)


@given(trees, st.integers(-9, 9), st.integers(-9, 9))
def test_a_program_is_read_as_the_function_that_python_runs(tree: Any, x: int, y: int) -> None:
    source = f"def f(x, y): return {text(tree)}"
    names, again = read_program(source)
    assert names == ["x", "y"]
    assert value(again, {"x": x, "y": y}) == executed(source, (x, y))
    assert values_of(source, [(x, y)]) == [executed(source, (x, y))]


@pytest.mark.parametrize(
    "source",
    [
        "",
        "def f(x): return",
        "def f(x): return 2 *",
        "def f(x): return z",
        "def f(x): return 9 ** 9 ** 9",
        "def f(x): return x ** x",
        "def f(x): return x ** -1",
        "def f(x): return __import__('os').system('true')",
        "def f(x): return f(x)",
        "def f(x): return max(x)",
        "def f(x): return max(x, key=x)",
        "def f(x): return x < 1 < 2",
        "def f(x): return True",
        "def f(x): return 1.5",
        "def f(x): return 10000000 * x",
        "def f(x):\n    x = 1\n    return x",
        "print(1)",
        "def f(x): return " + "(" * 300 + "x" + ")" * 300,
        "def f(x): return x\x00",
        "def f(x): return " + "x + " * 200 + "x",
    ],
)
def test_any_other_text_is_refused_and_never_executed(source: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_program(source)
    assert worked_values(QUESTION, source) == NO_PROGRAM


def test_the_values_of_a_question_are_read_as_they_are_written() -> None:
    assert shown_values("f(0, 1) == -2\nf(4, 7) == 10") == [((0, 1), -2), ((4, 7), 10)]
    assert shown_values(QUESTION) == [((0,), 1), ((1,), 3), ((2,), 5)]


@pytest.mark.parametrize(
    ("program", "critique"),
    [
        ("def f(x): return 2 * x + 1", "f(0) == 1, f(1) == 3, f(2) == 5"),
        ("def f(x): return x + 1", "f(0) == 1, f(1) == 2"),
        ("def f(x): return 1 // x", "f(0) == error"),
        ("def f(x, y): return x", "f(0) == error"),
        ("def f(x): return x == 0", "f(0) == True, f(1) == False"),
    ],
)
def test_a_critique_works_out_values_up_to_the_first_wrong_one(program: str, critique: str) -> None:
    assert worked_values(QUESTION, program) == critique


def test_the_demonstrator_says_what_the_tests_said_of_a_program() -> None:
    problem = Problem("1", QUESTION, "code", {}, meta={"question": QUESTION})
    program = "def f(x): return 2 * x + 1"
    for correct in (True, False):
        written = demonstration(problem, Solution("1", program, correct=correct), FORMAT)
        assert load_format(**FORMAT).parse(written).judgement is (Judgement.CORRECT if correct else Judgement.INCORRECT)


def of_task(task: str, **options: Any) -> list[Problem]:
    return programs({**OPTIONS, "tasks": {task: 1.0}, **options})


def said_by_user(problem: Problem, turn: int) -> str:
    assert isinstance(problem.prompt, list)
    return problem.prompt[turn]["content"]


def test_critiques_are_true_of_the_program_that_the_prompt_shows() -> None:
    form = load_format(**FORMAT)
    judgements = []
    for problem in of_task("critique", error_rate=0.5):
        program = said_by_user(problem, 0).partition("<solution>\n")[2].partition("\n</solution>")[0]
        right = all(executed(program, given) == shown for given, shown in shown_values(problem.meta["question"]))
        critique = form.parse(problem.reference["demonstration"])
        assert critique.judgement is (Judgement.CORRECT if right else Judgement.INCORRECT)
        *true, last = shown_values(critique.feedback.replace(", f", "\nf"))
        shown = dict(shown_values(problem.meta["question"]))
        assert all(shown[given] == value == executed(program, given) for given, value in true)
        assert last[1] == executed(program, last[0])
        assert (shown[last[0]] == last[1]) is right
        judgements.append(right)
    assert 0.4 < sum(judgements) / len(judgements) < 0.6


def test_whoever_refines_follows_the_critique_true_or_false() -> None:
    seen = set()
    for problem in of_task("refine", error_rate=0.5, false_critiques=0.5):
        assert isinstance(problem.prompt, list)
        shown = dict(shown_values(problem.meta["question"]))
        program, critique = problem.prompt[1]["content"], problem.prompt[2]["content"]
        claimed = dict(shown_values(critique))
        accepts = claimed.items() <= shown.items()
        refined = problem.reference["demonstration"]
        right = all(executed(program, given) == value for given, value in shown.items())
        refined_right = all(executed(refined, given) == value for given, value in shown.items())
        if accepts:
            assert refined == program
        else:
            assert refined_right is not right
            assert refined != program
        seen.add((right, accepts))
    assert seen == {(True, True), (True, False), (False, True), (False, False)}


def test_the_tests_of_a_function_are_those_of_the_plain_source() -> None:
    plain = programs({"size": 20, "seed": 5})
    for task in ("solve", "refine", "critique"):
        for old, new in zip(plain, programs({"size": 20, "seed": 5, "tasks": {task: 1.0}}), strict=True):
            assert new.reference["tests"] == old.reference["tests"]
            assert new.meta["question"] == str(old.prompt).rstrip("\n")


def test_every_text_is_a_few_known_tokens() -> None:
    tokenizer = build_tokenizer(PROGRAM_CRITIC)
    problems = programs({**OPTIONS, "tasks": {"solve": 1, "refine": 1, "critique": 1}, "false_critiques": 0.3})
    for problem in problems:
        ids = tokenizer.apply_chat_template(problem.prompt, add_generation_prompt=True, return_dict=True)["input_ids"]
        answer = tokenizer(problem.reference["demonstration"])["input_ids"]
        assert tokenizer.unk_token_id not in [*ids, *answer]
        assert len(ids) < 90
        assert len(answer) < 48


def test_wrong_options_are_named() -> None:
    for options, message in [
        ({"tasks": {"solv": 1}}, "Did you mean 'solve'"),
        ({"tasks": {"solve": 0}}, "add up to 0"),
        ({"tasks": {"critique": 1}, "format": "nothing"}, "the format 'nothing' cannot be used"),
        ({"false_critiques": 2}, "false_critiques must be in"),
    ]:
        with pytest.raises(DataError, match=message):
            load_problems("programs", options={"size": 5, **options})


def test_the_same_options_give_the_same_problems() -> None:
    options = {**OPTIONS, "tasks": {"refine": 1, "critique": 1}, "false_critiques": 0.3}
    assert programs(dict(options)) == programs(dict(options))
