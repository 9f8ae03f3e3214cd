"""Cells of a row: numbers as text, and objects that may be JSON text."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from reasonrl.data.answers import number_text
from reasonrl.data.json_text import ChangedByReading, LongNumber, parse_json

LARGEST_SIZE = 10_000_000
"""Problems of a source that generates them: more take minutes, and all are in memory."""


class Unreadable(Exception):
    """The row cannot become a problem: the message is its mistake."""


def number_as_text(value: Any) -> Any:
    """A finite number as text; anything else as it is, to be judged with the problem."""
    if isinstance(value, LongNumber):
        return format(Decimal(value.text), "f")
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return number_text(value)
        except ValueError as error:  # Python writes at most 4300 digits
            raise Unreadable(f"a number is too long: {error}. Write it as text") from error
    return number_text(value) if isinstance(value, float) and math.isfinite(value) else value


def as_object(value: Any, name: str) -> dict[str, Any]:
    content = parsed(value)
    if not isinstance(content, dict):
        raise Unreadable(f"{name} must be an object {{...}} or the JSON text of one, not {value!r:.60}")
    return content


def parsed(value: Any) -> Any:
    """The value, or what its JSON text says if it is the text of an object."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            return parse_json(value)
        except ChangedByReading as error:
            raise Unreadable(f"a JSON text in this row: {error}") from error
        except (ValueError, RecursionError):
            return value
    return value


def is_blank(value: Any) -> bool:
    """Whether a cell holds nothing: None, or text of white space only."""
    return value is None or (isinstance(value, str) and not value.strip())
