"""How calls are written in a turn of the policy, and how their results are written behind it.

    line     Call: 12 * 34            base and tiny models: one line is a turn
             Result: 408
    fenced   ```python ... ```        Qwen2.5-Math, ToRL, THOR: programs, and what they print
             ```output ... ```
    tags     <code> ... </code>       Search-R1, ReTool: a tag for each tool, and one for results
             <interpreter> ... </interpreter>
    chat     the model's own template, see `reasonrl.environments.tools.chat_formats`

Each format reads one turn's text, never the transcript: what a tool has printed is not taken for a call or an answer.
Delimiters that close a result are spelled differently within it, so that a tool's text cannot end its own frame.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from reasonrl.environments.tools.base import Tool, ToolCall, text_parameter
from reasonrl.errors import RecipeError
from verifiers.types import Message


@dataclass(frozen=True, slots=True)
class Reading:
    """What a turn asks for. None of the three: the turn answers, or says nothing at all."""

    calls: tuple[ToolCall, ...] = ()
    """In the order in which they are written. A name may be unknown: whoever runs them says so."""
    mistake: str = ""
    """Why something that looks like a call cannot be read, in words for the policy."""


class ToolFormat(Protocol):
    """How calls and results are written."""

    stop: tuple[str, ...]
    """A turn of the policy ends at these strings."""
    closing: tuple[str, ...]
    """What may not stand in a result as it is: it would end the frame, or begin another."""
    describes_tools: bool
    """Whether the prompt describes the tools: the chat template gets their schemas. A format of the user's that
    lacks it describes none.
    """

    def read(self, text: str) -> Reading:
        """What a turn asks for. `text` ends before the stop string."""
        ...

    def results(self, texts: Sequence[str], written: str) -> str | list[Message]:
        """What is appended behind the turn, with the results in the order of the calls. A text goes on within the
        policy's turn; messages end it.

        Args:
            written: the turn as the policy wrote it, the stop string included.
        """
        ...


class LineFormat:
    """One line is a turn: a line that begins with `call` is a call, any other is the answer.

    With several tools the first word names the tool. The prompt has to show the format, e.g. by examples.
    """

    describes_tools = False

    def __init__(self, tools: Sequence[Tool], *, call: str = "Call: ", result: str = "Result: ") -> None:
        self._parameters = _text_parameters(tools, "line")
        if not call.strip() or not result.strip():
            raise RecipeError("call, result: write a text that begins a line, such as 'Call: '")
        if "\n" in call + result or call.startswith(result) or result.startswith(call):
            raise RecipeError(f"call, result: expected two different beginnings of a line, got {call!r}, {result!r}")
        self._call, self._result = call, result
        self.stop, self.closing = ("\n",), ("\n",)

    def read(self, text: str) -> Reading:
        line = text.strip()
        if not line.startswith(self._call.strip()):
            return Reading()
        argument = line[len(self._call.strip()) :].strip()
        name = next(iter(self._parameters))
        if len(self._parameters) > 1:
            name, _, argument = argument.partition(" ")
        if not argument.strip():
            return Reading(mistake="the call is empty")
        return Reading((ToolCall(name, {self._parameters.get(name, "text"): argument.strip()}),))

    def results(self, texts: Sequence[str], written: str) -> str:
        joint = "" if "\n" in written else "\n"
        return joint + "".join(f"{self._result}{text}\n" for text in texts)


class FencedFormat:
    """A block of code at the end of a turn is run; the turn ends where the policy begins the block of its output."""

    stop: ClassVar = ("```output",)
    closing: ClassVar = ("```",)
    describes_tools = False
    _BLOCK = re.compile(r"```([\w+-]+)[^\S\n]*\n(.*?)\n?```", re.DOTALL)
    _OPEN = re.compile(r"```([\w+-]+)[^\S\n]*\n(?:(?!```).)*\Z", re.DOTALL)

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._parameters = _text_parameters(tools, "fenced")

    def read(self, text: str) -> Reading:
        text = text.rstrip()
        blocks = list(self._BLOCK.finditer(text))
        if blocks and blocks[-1].end() == len(text) and blocks[-1][1].lower() in self._parameters:
            name, code = blocks[-1][1].lower(), blocks[-1][2]
            if not code.strip():
                return Reading(mistake="the block is empty")
            return Reading((ToolCall(name, {self._parameters[name]: code}),))
        behind = text[blocks[-1].end() :] if blocks else text
        unclosed = self._OPEN.search(behind)
        if unclosed and unclosed[1].lower() in self._parameters:
            return Reading(mistake="the block is not closed")
        return Reading()

    def results(self, texts: Sequence[str], written: str) -> str:
        if self.stop[0] in written:
            opening = "" if written.endswith("\n") else "\n"
        else:
            opening = ("" if written.endswith("\n") else "\n") + "```output\n"
        return opening + "\n".join(texts) + "\n```\n"


class TagsFormat:
    """Each tool has a tag, and a tag for its results.

    Args:
        tags: name of a tool -> [tag of a call, tag of its result]. Without it `python` has code and interpreter,
            `search` has search and information, and any other tool its own name and result.
    """

    describes_tools = False
    _USUAL: ClassVar = {"python": ("code", "interpreter"), "search": ("search", "information")}

    def __init__(self, tools: Sequence[Tool], *, tags: dict[str, list[str]] | None = None) -> None:
        self._parameters = _text_parameters(tools, "tags")
        if unknown := [name for name in tags or {} if name not in self._parameters]:
            raise RecipeError(f"tags.{unknown[0]}: there is no such tool; there are {', '.join(self._parameters)}")
        self._tags = {name: self._USUAL.get(name, (name, "result")) for name in self._parameters}
        for name, pair in (tags or {}).items():
            if (
                not isinstance(pair, list)
                or len(pair) != 2
                or not all(re.fullmatch(r"[\w-]+", str(tag)) for tag in pair)
            ):
                raise RecipeError(f"tags.{name}: expected two words, such as [code, interpreter], got {pair!r}")
            self._tags[name] = (str(pair[0]), str(pair[1]))
        self.stop = tuple(f"</{call}>" for call, _ in self._tags.values())
        used = dict.fromkeys(tag for pair in self._tags.values() for tag in pair)
        self.closing = tuple(mark for tag in used for mark in (f"</{tag}>", f"<{tag}>"))

    def read(self, text: str) -> Reading:
        opened = [(text.rfind(f"<{call}>"), name, call) for name, (call, _) in self._tags.items()]
        place, name, call = max(opened)
        if place < 0:
            return Reading()
        content, closed, behind = text[place + len(call) + 2 :].partition(f"</{call}>")
        if closed and behind.strip():  # an answer behind it
            return Reading()
        if not content.strip():
            return Reading(mistake="the call is empty")
        return Reading((ToolCall(name, {self._parameters[name]: content.strip("\n")}),))

    def results(self, texts: Sequence[str], written: str) -> str:
        last = max(self._tags.values(), key=lambda pair: written.rfind(f"<{pair[0]}>"))
        closing = "" if f"</{last[0]}>" in written[written.rfind(f"<{last[0]}>") :] else f"</{last[0]}>"
        body = "\n".join(texts)
        return f"{closing}\n<{last[1]}>\n{body}\n</{last[1]}>\n"


def _text_parameters(tools: Sequence[Tool], format_name: str) -> dict[str, str]:
    """Name of each tool -> its argument that bare text fills in. Raises RecipeError for a tool that needs more."""
    parameters: dict[str, str] = {}
    for tool in tools:
        parameter = text_parameter(tool)
        if parameter is None:
            raise RecipeError(
                f"format: {format_name} passes one text to a tool, but {tool.name} takes"
                f" {', '.join(tool.parameters.get('properties', {})) or 'nothing'}; write format: chat"
            )
        parameters[tool.name] = parameter
    return parameters


def apart(text: str, marks: Sequence[str]) -> str:
    """The text with each of these marks broken up, so that it cannot end the frame that it stands in."""
    for mark in marks:
        if mark == "\n":
            text = " ".join(text.split("\n"))
            continue
        for _ in mark:  # of four backticks three are left at first
            text = text.replace(mark, mark[0] + " " + mark[1:])
    return text
