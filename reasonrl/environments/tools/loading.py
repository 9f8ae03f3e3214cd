"""Tools and formats by name. To add one, write its file and add its line."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator, SchemaError

from reasonrl.environments.tools.base import CallStatus, Session, Tool, ToolError, ToolResult, function_schema
from reasonrl.environments.tools.formats import ToolFormat
from reasonrl.errors import RecipeError
from reasonrl.plugins import import_dotted
from reasonrl.user_code.daemon_threads import in_own_thread
from reasonrl.user_code.guards import describe_error
from reasonrl.words import did_you_mean

TOOLS = {
    "calculator": "reasonrl.environments.tools.calculator:Calculator",
    "python": "reasonrl.environments.tools.python:PythonTool",
}
"""Name -> class, called with (**options)."""
FORMATS = {
    "line": "reasonrl.environments.tools.formats:LineFormat",
    "fenced": "reasonrl.environments.tools.formats:FencedFormat",
    "tags": "reasonrl.environments.tools.formats:TagsFormat",
    "chat": "reasonrl.environments.tools.chat_formats:ChatFormat",
}
"""Name -> class, called with (tools, **options); `chat` with the tokenizer too."""
KEY = "rollout.environment"
THREADS = 32
"""Calls of one function that run at one time, where a recipe does not say."""
_NAME = re.compile(r"[A-Za-z_][\w-]{0,63}")


def load_tools(specs: Any) -> dict[str, Tool]:
    """The tools of a recipe by name. Raises RecipeError; and ReasonRLError where one cannot work on this machine."""
    if not isinstance(specs, Sequence) or isinstance(specs, str) or not specs:
        raise RecipeError(f"{KEY}.tools: write a list of at least one tool, e.g. [calculator]; got {specs!r}")
    tools: dict[str, Tool] = {}
    for number, spec in enumerate(specs):
        key = f"{KEY}.tools[{number}]"
        name, options = _named(spec, key)
        tool = _load_tool(name, options, key)
        if tool.name in tools:
            raise RecipeError(f"{key}: there are two tools of the name {tool.name!r}; rename or remove one")
        tools[tool.name] = tool
    return tools


def load_format(spec: Any, tools: Sequence[Tool], tokenizer: Any) -> ToolFormat:
    """Raises RecipeError; and ModelError for a chat template that cannot carry tools."""
    key = f"{KEY}.format"
    name, options = _named(spec, key)
    path = FORMATS.get(name, name)
    if ":" not in path:
        raise RecipeError(f"{key}: '{name}' is not known; {_choices(name, FORMATS)}")
    arguments = (tools, tokenizer) if name == "chat" else (tools,)
    tool_format: ToolFormat = _make(import_dotted(path, key), arguments, options, key)
    return tool_format


def format_of(options: Mapping[str, Any], tokenizer: Any) -> ToolFormat:
    """The format of `tool_use` with these options. Raises as `load_tools` and `load_format`."""
    return load_format(options.get("format", "chat"), list(load_tools(options.get("tools")).values()), tokenizer)


def prompt_functions(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Schemas of the tools that prompts of `tool_use` with these options describe; none for formats that the prompt
    shows by examples. Raises as `load_tools`.
    """
    key = f"{KEY}.format"
    name, _ = _named(options.get("format", "chat"), key)
    path = FORMATS.get(name, name)
    if ":" not in path or not getattr(import_dotted(path, key), "describes_tools", False):
        return []
    return [function_schema(tool) for tool in load_tools(options.get("tools")).values()]


def _load_tool(name: str, options: dict[str, Any], key: str) -> Tool:
    path = TOOLS.get(name, name)
    if ":" not in path:
        raise RecipeError(f"{key}: '{name}' is not known; {_choices(name, TOOLS)}")
    target = import_dotted(path, key)
    if callable(target) and not inspect.isclass(target) and hasattr(target, "__name__"):
        tool: Tool = FunctionTool(target, key, **_function_options(options, key))
    elif inspect.isclass(target):
        tool = _make(target, (), options, key)
    else:
        raise RecipeError(f"{key}: {path} is of type {type(target).__name__}; write a function or a class")
    _check_tool(tool, path, key)
    return tool


def _check_tool(tool: Any, path: str, key: str) -> None:
    wanted = ("name", "description", "parameters", "deadline_s", "is_instant", "session")
    if missing := [name for name in wanted if not hasattr(tool, name)]:
        raise RecipeError(
            f"{key}: {path} is not a tool: it has no {missing[0]} (reasonrl.environments.tools.base.Tool)"
        )
    if not isinstance(tool.name, str) or not _NAME.fullmatch(tool.name):
        raise RecipeError(f"{key}: {path} has the name {tool.name!r}; write a word of letters, digits, _ and -")
    schema = tool.parameters
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise RecipeError(
            f"{key}: the parameters of {tool.name} are not a JSON schema: {error.message[:200]}"
        ) from error
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise RecipeError(f"{key}: the parameters of {tool.name} are not the JSON schema of an object (type: object)")
    if isinstance(tool.deadline_s, bool) or not isinstance(tool.deadline_s, int | float) or not tool.deadline_s > 0:
        raise RecipeError(f"{key}: deadline_s of {tool.name} is {tool.deadline_s!r}; write seconds, more than 0")
    at_once = getattr(tool, "at_once", None)
    if at_once is not None and (isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1):
        raise RecipeError(f"{key}: at_once of {tool.name} is {at_once!r}; write a whole number from 1, or None")


class FunctionTool:
    """A function of the user's: its name, its docstring and the hints of its parameters are the schema.

    A coroutine function is awaited, any other runs in a thread of its own, at most `at_once` at one time. What it
    returns is shown as text; what is no text, as JSON. Raise `ToolError` for a mistake of the policy; whatever else is
    raised is a fault of the tool, and masks the episode.
    """

    is_instant = False

    def __init__(
        self, function: Callable[..., Any], key: str, *, deadline_s: float = 60.0, at_once: int | None = None
    ) -> None:
        """Raises RecipeError for a function without hints or docstring."""
        from transformers.utils import get_json_schema

        try:
            schema = get_json_schema(function)["function"]
        except Exception as error:  # DocstringParsingException, TypeHintParsingException, and what foreign hints raise
            raise RecipeError(
                f"{key}: no schema can be made of {function.__name__}: {describe_error(error)}. Write a type hint for"
                " each parameter, and a docstring with a line for each under Args:"
            ) from error
        self.name, self.description = schema["name"], schema["description"]
        self.parameters = {**schema["parameters"], "additionalProperties": False}
        self.deadline_s = deadline_s
        self.at_once = at_once if at_once is not None or inspect.iscoroutinefunction(function) else THREADS
        self._function = function

    def session(self, seed: int) -> Session:
        return self

    async def call(self, arguments: dict[str, Any]) -> ToolResult:
        try:
            if inspect.iscoroutinefunction(self._function):
                value = await self._function(**arguments)
            else:
                value = await in_own_thread(lambda: self._function(**arguments))
        except ToolError as error:
            return ToolResult(f"error: {error}", CallStatus.ERROR)
        return ToolResult(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))

    async def close(self) -> None:
        pass


def _function_options(options: dict[str, Any], key: str) -> dict[str, Any]:
    if unknown := [name for name in options if name not in ("deadline_s", "at_once")]:
        raise RecipeError(f"{key}.{unknown[0]}: a function has no such option; it has deadline_s and at_once")
    value = options.get("deadline_s", 60.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise RecipeError(f"{key}.deadline_s: expected seconds, more than 0, got {value!r}")
    return options


def _named(spec: Any, key: str) -> tuple[str, dict[str, Any]]:
    """A bare word, or a mapping with `name`."""
    if isinstance(spec, str):
        return spec, {}
    if isinstance(spec, Mapping) and isinstance(spec.get("name"), str):
        return spec["name"], {name: value for name, value in spec.items() if name != "name"}
    raise RecipeError(f"{key}: expected a name, or a section with name and options, got {spec!r}")


def _make(target: Any, arguments: tuple[Any, ...], options: dict[str, Any], key: str) -> Any:
    """Raises RecipeError where the class does not take the options."""
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):
        parameters = None  # its constructor will say
    if parameters is not None and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        known = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
        if unknown := [name for name in options if name not in known]:
            hint = did_you_mean(unknown[0], known) or f"it takes {', '.join(known) or 'no options'}"
            raise RecipeError(f"{key}.{unknown[0]}: there is no such option; {hint}")
    try:
        return target(*arguments, **options)
    except RecipeError as error:
        raise RecipeError(f"{key}.{error}" if not str(error).startswith(KEY) else str(error)) from error
    except TypeError as error:
        raise RecipeError(f"{key}: {error}") from error


def _choices(name: str, known: Mapping[str, str]) -> str:
    hint = did_you_mean(name, known)
    return f"{hint + ' ' if hint else ''}choose one of {', '.join(known)} or package.module:name"


def check_whole(name: str, value: Any, *, least: int = 1) -> int:
    """Raises RecipeError for what is not a whole number from `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise RecipeError(f"{KEY}.{name}: expected a whole number from {least}, got {value!r}")
    return value


def check_word(name: str, value: Any, words: Sequence[str]) -> str:
    """Raises RecipeError for another word."""
    if value not in words:
        raise RecipeError(f"{KEY}.{name}: expected one of {', '.join(words)}, got {value!r}")
    return str(value)
