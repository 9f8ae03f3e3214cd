"""Calls as a model's own chat template writes them.

    hermes    <tool_call>{"name": ..., "arguments": {...}}</tool_call>, any number of them (Qwen2.5, Qwen3, Hermes)
    llama3    {"name": ..., "parameters": {...}}, the whole turn, one call (Llama 3.1 and later)

Tools are described to the policy by the template itself. What the template writes around results is taken from it once
per result (`Conversation.add_messages`), and encoded without special tokens of a tool's text. A template that leaves
out the tools, the results, or a thought before a result is refused when the environment is made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from reasonrl.environments.conversation import delta_text
from reasonrl.environments.tools.base import Tool, ToolCall, function_schema
from reasonrl.environments.tools.formats import Reading
from reasonrl.errors import ModelError, RecipeError
from reasonrl.models.chat_template import apply_template, name_of
from verifiers.response import strip_thinking
from verifiers.types import Message

_TOOL_TEXT = "reasonrl-tool-text"


class ChatFormat:
    """The model's own template.

    Args:
        calls: hermes or llama3; auto: by a word of the template.
    """

    stop: ClassVar[tuple[str, ...]] = ()
    describes_tools = True
    closing: ClassVar[tuple[str, ...]] = ("<tool_response>", "</tool_response>", "<tool_call>", "</tool_call>")

    def __init__(self, tools: Sequence[Tool], tokenizer: Any, *, calls: str = "auto") -> None:
        """Raises RecipeError for options, ModelError for a template that cannot carry tools."""
        if calls not in ("auto", *_READERS):
            raise RecipeError(f"calls: expected auto, {', '.join(_READERS)}, got {calls!r}")
        check_template(tokenizer, [function_schema(tool) for tool in tools])
        template = str(tokenizer.chat_template)
        if calls == "auto":
            calls = "hermes" if "<tool_call>" in template else "llama3" if "ipython" in template else "auto"
        if calls == "auto":
            raise RecipeError(
                f"calls: the chat template of {name_of(tokenizer)} does not say how calls are written; write calls:"
                " hermes or llama3, or another format (line, fenced, tags)"
            )
        self._read = _READERS[calls]

    def read(self, text: str) -> Reading:
        return self._read(strip_thinking(text))

    def results(self, texts: Sequence[str], written: str) -> list[Message]:
        return [{"role": "tool", "content": text} for text in texts]


def check_template(tokenizer: Any, functions: list[dict[str, Any]]) -> None:
    """Raises ModelError where the chat template leaves out tools, results, or thoughts before results."""
    name = name_of(tokenizer)
    advice = "Write format: line, fenced or tags, or take a model whose template knows tools"
    if tokenizer.chat_template is None:
        raise ModelError(f"format: chat needs a chat template, and {name} has none. {advice}")
    user: Message = {"role": "user", "content": "reasonrl-user-text"}
    text = apply_template(tokenizer, [user], "a test of tools", tools=functions, add_generation_prompt=True)
    for function in functions:
        if str(function["function"]["name"]) not in text:
            raise ModelError(f"the chat template of {name} leaves out the tools, so no call would be made. {advice}")
    delta_text(tokenizer, [{"role": "tool", "content": _TOOL_TEXT}])
    thought: Message = {
        "role": "assistant",
        "content": "<think>\nreasonrl-thought\n</think>\n\nreasonrl-assistant-text",
    }
    alone = apply_template(tokenizer, [user, thought], "a test of tools")
    after = apply_template(tokenizer, [user, thought, {"role": "tool", "content": _TOOL_TEXT}], "a test of tools")
    if "reasonrl-thought" in alone and "reasonrl-thought" not in after:
        raise ModelError(
            f"the chat template of {name} drops the thought of a turn when a result follows, so the episode would not"
            f" be the one that the model is used with. {advice}"
        )


def _hermes(text: str) -> Reading:
    blocks = re.findall(r"<tool_call>(.*?)</tool_call>", text, re.DOTALL)
    if text.count("<tool_call>") != len(blocks):
        return Reading(mistake="a tool_call is not closed")
    calls = []
    for block in blocks:
        try:
            calls.append(_call(block, "arguments"))
        except ValueError as error:
            return Reading(mistake=f"a tool_call cannot be read: {error}")
    return Reading(tuple(calls))


def _llama3(text: str) -> Reading:
    text = text.removeprefix("<|python_tag|>").strip()
    if not text.startswith("{"):
        return Reading()
    try:
        return Reading((_call(text, "parameters"),))
    except ValueError as error:
        return Reading() if "name" not in text else Reading(mistake=f"the call cannot be read: {error}")


def _call(text: str, key: str) -> ToolCall:
    """Raises ValueError, in words for the policy."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise ValueError("it is not a JSON object with a name")
    arguments = value.get(key, value.get("arguments", value.get("parameters", {})))
    if not isinstance(arguments, dict):
        raise ValueError(f"{key} is not a JSON object")
    return ToolCall(value["name"], arguments)


_READERS: dict[str, Callable[[str], Reading]] = {"hermes": _hermes, "llama3": _llama3}
