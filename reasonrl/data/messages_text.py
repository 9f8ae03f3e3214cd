"""A prompt that is written as JSON text of messages, as CSV and parquet files hold it, becomes messages."""

from __future__ import annotations

import json
import re
from typing import Any

from reasonrl.data.json_text import ChangedByReading, parse_json
from reasonrl.data.values import Unreadable

AS_TEXT = "If it is a question, give its row the field prompt_form: text, or its source options: {prompt_form: text}"
_INSTEAD = 'Write [{"role": "user", "content": "..."}]'
_LOOKS = re.compile(
    r"""\s*["']?\s*(?:\[\s*\{\s*\\?["'](?:role|content|from)|\{\s*\\?["'](?:role|messages|conversations|prompt))\\?["']\s*:"""
)
"""The beginning of messages in JSON, in Python's spelling, in JSON within JSON, or with another library's keys."""
_INVISIBLE = re.compile(r"[\s\u200b-\u200f\u2060\ufeff]*")
"""White space, and characters without width, such as the byte order mark that some editors and spreadsheets write."""


def looks_like_messages(text: str) -> bool:
    """Whether `read_prompt` takes a text for messages."""
    return _LOOKS.match(_visible(text)) is not None


def read_prompt(text: str) -> Any:
    """The messages that a prompt holds as JSON text, or the text itself where it does not look like messages.

    Raises:
        Unreadable: it looks like messages, but is not JSON, or is not a list of objects with a role.
    """
    if not looks_like_messages(text):
        return text
    try:
        value = parse_json(_visible(text))
    except ChangedByReading as error:
        raise Unreadable(f"the prompt is JSON text: {error}") from error
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":  # a question that begins with some JSON
            return text
        raise Unreadable(
            f"the prompt begins like a list of messages, but is not JSON: {error.msg} (character {error.pos + 1})."
            f" {_INSTEAD}. {AS_TEXT}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the prompt is not readable JSON: {error}. {AS_TEXT}") from error
    if isinstance(value, list) and value and all(isinstance(item, dict) and "role" in item for item in value):
        return value
    raise Unreadable(
        f"the prompt is JSON text that begins like messages, but it is not a list of objects with a role and a content."
        f" {_INSTEAD}. {AS_TEXT}"
    )


def _visible(text: str) -> str:
    """The text from its first visible character on."""
    start = _INVISIBLE.match(text)
    return text if start is None else text[start.end() :]
