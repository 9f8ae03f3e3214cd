"""What a tool is.

A `Tool` is made once for a run and opens a `Session` for each episode, so that what one episode leaves behind in a
stateful tool is never seen by another. A tool without state is its own session.

How a call ended is one of four things, and they are kept apart from here to the metrics:

    ok        the tool did what was asked
    error     the model's mistake (a division by zero, an unknown name): the text says what, and the model reads it
    timeout   the model's as well: its call used up the tool's own limit. The model reads that
    broken    the machine's fault (a server is away, a sandbox died). The episode is masked and counted; no text of it
              enters the trajectory, since a policy must not learn from what it did not cause
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class CallStatus(StrEnum):
    """How a call ended."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gave."""

    text: str
    """What the policy reads; where the call is broken, what people read."""
    status: CallStatus = CallStatus.OK


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What the policy asked for."""

    name: str
    arguments: dict[str, Any]


class ToolError(Exception):
    """A function that is used as a tool raises this for a mistake of the policy, which reads the text."""


class Session(Protocol):
    """A tool in one episode."""

    async def call(self, arguments: dict[str, Any]) -> ToolResult:
        """One call. `arguments` fit the tool's schema. What it raises counts as broken."""
        ...

    async def close(self) -> None:
        """The episode is over, however it ended."""
        ...


class Tool(Protocol):
    """Something that a policy can call.

    Attributes:
        name: as the policy writes it.
        description: one or two sentences for the policy.
        parameters: a JSON schema of an object. A tool whose schema has one required property of type string can be
            called with bare text, as in formats that have no names of arguments.
        deadline_s: seconds after which a call is broken. It is a guard against what hangs, longer than the tool's own
            limits. Waiting for a place does not count.
        at_once: calls of all episodes that may run at one time. None: any number. A tool may do without this attribute.
        is_instant: a call computes for well under a millisecond and waits for nothing: no thread, no round of its own.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    deadline_s: float
    is_instant: bool

    def session(self, seed: int) -> Session:
        """For one episode. All randomness comes from `seed`. Raises nothing that a call would not."""
        ...


def text_parameter(tool: Tool) -> str | None:
    """The name of the one argument that bare text fills in; None for a tool that takes several, or no text."""
    properties = tool.parameters.get("properties", {})
    required = tool.parameters.get("required", list(properties)[:1])
    if len(required) == 1 and properties.get(required[0], {}).get("type", "string") == "string":
        return str(required[0])
    return None


def function_schema(tool: Tool) -> dict[str, Any]:
    """The tool as chat templates take it."""
    described = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": described}
