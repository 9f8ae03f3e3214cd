"""A format for untrained models: whatever a turn says is a call, of several tools by its length. A fake: no policy
writes like this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from reasonrl.environments.tools.base import Tool, ToolCall, text_parameter
from reasonrl.environments.tools.formats import Reading


class EveryTurnCalls:
    stop: ClassVar[tuple[str, ...]] = ()
    closing: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tools: Sequence[Tool], *, answers: bool = False) -> None:
        """`answers`: half of the turns, by their last character, are answers."""
        self._tools, self._answers = list(tools), answers

    def read(self, text: str) -> Reading:
        if self._answers and ord(text[-1:] or " ") % 2:
            return Reading()
        tool = self._tools[len(text) % len(self._tools)]
        return Reading((ToolCall(tool.name, {text_parameter(tool) or "": text}),))

    def results(self, texts: Sequence[str], written: str) -> str:
        return f"({' '.join(texts)})"
