"""Prompts that tell their answer."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.errors import DataError
from reasonrl.rewards.loading import load_verifier
from reasonrl.setup.prompt_checks import _may_hold, check_last_turns, gold_warnings
from verifiers.types import Message, Problem

STRICT = load_verifier("math", mode="strict")


def problem(*turns: tuple[str, str], answer: Any = "3", **more: Any) -> Problem:
    messages: list[Message] = [{"role": role, "content": text} for role, text in turns]
    return Problem("p", messages, "math", {"answer": answer} | more)


@pytest.mark.parametrize(
    "text", ["3", "It is 3.", "**3**", "$3$", "\\boxed{3}", "\\boxed{3.0}", "x\nThe demonstration"]
)
def test_an_answer_in_the_last_turn_is_refused_with_and_without_the_key(text: str) -> None:
    row = problem(("user", "1 + 2"), ("assistant", text), demonstration="x\nThe demonstration")
    for continues in (False, True):
        with pytest.raises(DataError, match=r"row 1 \(p\): its prompt ends .* gives the gold answer"):
            check_last_turns([row], STRICT, continues=continues)


@pytest.mark.parametrize("text", ["Let me think: ", "There are 3 of", "13", "0.3", "3.5", "-", "\\boxed{"])
def test_another_beginning_is_refused_without_the_key_alone(text: str) -> None:
    row = problem(("user", "1 + 2"), ("assistant", text))
    check_last_turns([row], STRICT, continues=True)
    with pytest.raises(DataError, match=r"Write data.prompt.last_assistant: continue"):
        check_last_turns([row], STRICT, continues=False)


def test_prompts_that_end_otherwise_are_not_looked_at() -> None:
    text = Problem("t", "1 + 2 3", "math", {"answer": "3"})
    empty = problem(("user", "1 + 2"), ("assistant", " \n"))
    earlier = problem(("user", "1 + 2"), ("assistant", "3"), ("user", "Sure?"))
    check_last_turns([text, empty, earlier], STRICT, continues=False)


@pytest.mark.parametrize(
    "row",
    [
        problem(("system", "The answer is 3."), ("user", "1 + 2")),
        problem(("user", "1 + 2 <answer> 3 </answer>")),
        problem(("user", "1 + 2"), ("assistant", "3"), ("user", "Sure?")),
        problem(("user", "1 + 2. Solution: 3")),
        problem(("user", "1 + 2\n#### 3"), answer=3),
    ],
)
def test_a_stated_answer_is_warned_of(row: Problem) -> None:
    (warning,) = gold_warnings("data.train", [row])
    assert warning.startswith("data.train: the prompt of 1 of 1 problems states its gold answer as the answer")
    assert gold_warnings("data.train", [row], examples=True) == []


@given(st.text("aAsSkK1.ſ\u212a ", max_size=8), st.text("aAsSkK1.ſ\u212a", min_size=1, max_size=2))
def test_no_row_is_passed_over_that_the_pattern_finds(text: str, gold: str) -> None:
    assert _may_hold(text, gold) or not re.search(re.escape(gold), text, re.IGNORECASE)


@pytest.mark.parametrize(
    ("question", "answer"), [("What is 3 * 1", "3"), ("Is the answer 31?", "3"), ("The answer is 3.5", "3"), ("q", "")]
)
def test_an_answer_that_merely_occurs_is_not(question: str, answer: str) -> None:
    assert gold_warnings("data.train", [problem(("user", question), answer=answer)] * 3) == []
