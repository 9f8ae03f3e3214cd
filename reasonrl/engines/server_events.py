"""Server-sent events of an OpenAI-compatible server: the pieces of one answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any


class BrokenStream(ValueError):
    """The stream says that it failed, ends early, or is none. Says why in one line."""


@dataclass
class StreamedAnswer:
    """What has come so far."""

    text: str = ""
    thought: str = ""
    """Where a server keeps thoughts apart."""
    finish_reason: str | None = None
    usage: Any = None

    def add(self, event: dict[str, Any]) -> str:
        """The text that the event adds. Raises BrokenStream."""
        if event.get("error"):
            error = event["error"]
            message = error.get("message") if isinstance(error, dict) else error
            raise BrokenStream(f"it failed in mid-stream: {str(message)[:200]}")
        self.usage = event.get("usage") or self.usage
        choices = event.get("choices")
        if not choices:
            return ""
        try:
            delta = choices[0].get("delta") or {}
            piece = delta.get("content") or ""
            thought = delta.get("reasoning_content") or delta.get("reasoning") or ""
            self.finish_reason = choices[0].get("finish_reason") or self.finish_reason
            self.text += piece
            self.thought += thought
        except (AttributeError, TypeError, LookupError) as error:
            raise BrokenStream("an event of its stream has no choice that can be read") from error
        return str(piece)


async def read_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any] | None]:
    """Each event as JSON; None for the last one, `[DONE]`. Lines are those of the bytes: a text may hold line ends of
    Unicode. Raises BrokenStream.
    """
    rest_of_line = b""
    async for chunk in chunks:
        *lines, rest_of_line = (rest_of_line + chunk).split(b"\n")
        for line in lines:
            if not line.startswith(b"data:"):
                continue  # an empty line, a comment, or the name of an event
            data = line[len(b"data:") :].strip()
            if data == b"[DONE]":
                yield None
                return
            try:
                event = json.loads(data)
            except ValueError as error:
                raise BrokenStream("an event of its stream is not JSON") from error
            if not isinstance(event, dict):
                raise BrokenStream("an event of its stream is not a JSON object")
            yield event
