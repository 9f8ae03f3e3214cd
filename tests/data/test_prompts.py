"""Rendering questions into prompts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.data import render_prompt
from reasonrl.errors import DataError
from verifiers.types import Problem

PROBLEM = Problem("p", "7 + 5", "math", {"answer": "12"}, "s", {"terms": 2})
SHOTS = [("1 + 2", " 3"), ("4 - 4", " 0")]


def test_chat() -> None:
    rendered = render_prompt(PROBLEM, template="Solve {question}.", few_shot=SHOTS[:1], system="Be brief.")
    assert rendered.prompt == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Solve 1 + 2."},
        {"role": "assistant", "content": " 3"},
        {"role": "user", "content": "Solve 7 + 5."},
    ]
    assert (rendered.id, rendered.kind, rendered.reference, rendered.source, rendered.meta) == (
        "p",
        "math",
        {"answer": "12"},
        "s",
        {"terms": 2},
    )
    assert render_prompt(PROBLEM).prompt == [{"role": "user", "content": "7 + 5"}]


def test_text() -> None:
    rendered = render_prompt(PROBLEM, template="Q: {question}\nA:", few_shot=SHOTS, style="text")
    assert rendered.prompt == "Q: 1 + 2\nA: 3\nQ: 4 - 4\nA: 0\nQ: 7 + 5\nA:"
    assert render_prompt(PROBLEM, style="text").prompt == "7 + 5"
    assert render_prompt(PROBLEM, style="text", system="Sums.", template="{question} =").prompt == "Sums.\n\n7 + 5 ="


@given(st.text(min_size=1))
def test_the_question_is_put_in_as_it_is(question: str) -> None:
    problem = Problem("p", question, "math", {"answer": "1"})
    assert render_prompt(problem, template="<{question}|{question}>", style="text").prompt == f"<{question}|{question}>"


def test_braces_of_latex_and_json_stay() -> None:
    template = 'Put it in \\boxed{} or \\boxed{{x}}, {"a": {1}}, \\frac{1}{2}: {question}'
    rendered = render_prompt(Problem("p", "{question} {x}", "math", {"answer": "1"}), template=template, style="text")
    assert rendered.prompt == 'Put it in \\boxed{} or \\boxed{x}, {"a": {1}}, \\frac{1}{2}: {question} {x}'


def test_wrong_templates() -> None:
    with pytest.raises(
        DataError, match=r"unknown placeholders: \{answer\}, \{qestion\}. Use \{question\} only. .*\{\{answer\}\}"
    ):
        render_prompt(PROBLEM, template="{qestion} {answer}")
    with pytest.raises(DataError, match=r"must contain \{question\}"):
        render_prompt(PROBLEM, template="What is {{question}}?")
    with pytest.raises(DataError, match="style must be chat or text, not 'plain'"):
        render_prompt(PROBLEM, style="plain")
    with pytest.raises(DataError, match="need a template"):
        render_prompt(PROBLEM, few_shot=SHOTS, style="text")


def test_messages_pass_only_untouched() -> None:
    chat = Problem("p", [{"role": "user", "content": "q"}], "math", {"answer": "1"})
    assert render_prompt(chat) == chat
    for asked in ({"template": "{question}"}, {"few_shot": SHOTS}, {"system": "s"}, {"style": "text"}):
        with pytest.raises(DataError, match="problem 'p': its prompt is a list of messages"):
            render_prompt(chat, **asked)  # type: ignore[arg-type]
