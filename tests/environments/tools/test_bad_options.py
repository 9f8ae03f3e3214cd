"""What a recipe may get wrong about tools is one sentence before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from reasonrl.engines.base import Sampling
from reasonrl.environments.tools.tool_use import ToolUse
from reasonrl.errors import ReasonRLError, RecipeError
from tests.environments.tools.scripted_policy import TOKENIZER, play

MADE = "tests.environments.tools.made_tools"
ANSWER = "244536336\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tools": []}, "tools: write a list of at least one tool"),
        ({"tools": "calculator"}, "tools: write a list"),
        ({"tools": ["calculater"]}, "tools[0]: 'calculater' is not known; did you mean"),
        ({"tools": [3]}, "tools[0]: expected a name, or a section with name and options, got 3"),
        ({"tools": ["calculator", "calculator"]}, "tools[1]: there are two tools of the name 'calculator'"),
        ({"tools": [{"name": "calculator", "digits": 3}]}, "tools[0].digits: there is no such option"),
        ({"tools": [{"name": "python", "cpu_s": -1}]}, "tools[0].cpu_s: expected a number from 0.1 to 600, got -1"),
        ({"tools": [{"name": "python", "isolation": "none"}]}, "tools[0].isolation: there is no isolation 'none'"),
        ({"tools": [f"{MADE}:no_hints"]}, "tools[0]: no schema can be made of no_hints"),
        ({"tools": [f"{MADE}:no_docstring"]}, "tools[0]: no schema can be made of no_docstring"),
        ({"tools": [f"{MADE}:BadSchema"]}, "the parameters of made are not a JSON schema"),
        ({"tools": [f"{MADE}:NoSchema"]}, "the parameters of made are not"),
        ({"tools": [f"{MADE}:NoMethods"]}, "is not a tool: it has no description"),
        ({"tools": [f"{MADE}:missing"]}, "tools[0]"),
        ({"tools": [f"{MADE}:add"]}, "format: line passes one text to a tool, but add takes a, b; write format: chat"),
        ({"format": "lines"}, "format: 'lines' is not known; did you mean"),
        ({"format": {"name": "line", "call": ""}}, "format.call, result: write a text"),
        ({"format": "chat"}, "format: chat needs a chat template"),
        ({"format": {"name": "tags", "tags": {"x": ["a", "b"]}}}, "tags.x: there is no such tool"),
        ({"max_turns": 1}, "max_turns: expected a whole number from 2, got 1"),
        ({"max_calls": 0}, "max_calls: expected a whole number from 1, got 0"),
        ({"result_tokens": True}, "result_tokens: expected a whole number from 4, got True"),
        ({"void": "drop"}, "void: expected one of keep, wrong, mask, got 'drop'"),
        ({"malformed": 1}, "malformed: expected one of feedback, end, got 1"),
    ],
)
def test_bad_options_are_one_sentence_before_anything_starts(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ReasonRLError) as caught:
        play([ANSWER], **options)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_budget_that_is_smaller_than_a_call_is_refused() -> None:
    with pytest.raises(RecipeError, match="max_response_tokens"):
        ToolUse(TOKENIZER, Sampling(24, max_response_tokens=24), tools=["calculator"], format="line")


def test_a_python_tool_without_isolation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from reasonrl.environments.tools import python
    from verifiers.sandbox.types import SandboxUnavailable

    def none_works(*arguments: Any, **options: Any) -> None:
        raise SandboxUnavailable("no isolation works on this machine")

    python._sandbox.cache_clear()
    monkeypatch.setattr(python, "open_sandbox", none_works)
    with pytest.raises(ReasonRLError, match="the tool python needs a sandbox: no isolation works"):
        play([ANSWER], tools=["python"], format="fenced")
    python._sandbox.cache_clear()
