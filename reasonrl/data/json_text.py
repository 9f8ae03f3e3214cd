"""JSON as it is written: what Python's parser would change without a word is refused.

Python takes the last of two equal keys, reads 1e400 as infinity, and rounds a number of more than 17 digits.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

_EXACT_DIGITS = 15
"""A decimal number of this many digits comes back unchanged from a 64-bit float."""


class ChangedByReading(ValueError):
    """The text is JSON, but the value that Python reads is not the one that is written."""


class LongNumber(float):
    """A number with more digits than a 64-bit float holds. `text` has all of them."""

    text: str

    def __new__(cls, text: str) -> LongNumber:
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __reduce__(self) -> tuple[type[LongNumber], tuple[str]]:
        return LongNumber, (self.text,)


Repeats = list[tuple[dict[str, Any], str]]
"""Objects with a key that is there twice, and that key."""


def parse_json(text: str | bytes, repeats: Repeats | None = None) -> Any:
    """The value of a JSON text.

    Args:
        text: JSON; bytes are UTF-8.
        repeats: takes objects with a repeated key, for a caller that can say where they are. None: they are an error.

    Raises:
        ChangedByReading: a key is there twice, or a number is beyond the range of a 64-bit float.
        json.JSONDecodeError: it is not JSON. ValueError, RecursionError: thousands of digits, or deep nesting.
    """
    noted: Repeats = [] if repeats is None else repeats

    def as_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            names = [name for name, _ in pairs]
            noted.append((value, next(name for name in names if names.count(name) > 1)))
        return value

    value = json.loads(text, object_pairs_hook=as_object, parse_float=_number)
    if repeats is None and noted:
        raise ChangedByReading(repeated_key(noted[0][1]))
    return value


def repeated_key(key: str) -> str:
    """What is said of a key that is there twice."""
    return f"the key {key!r} is there twice in one object. Leave one out"


def with_plain_numbers(value: Any) -> Any:
    """The value with Python's own floats in place of `LongNumber`, for a reader that tells types apart."""
    if isinstance(value, dict):
        return {name: with_plain_numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [with_plain_numbers(item) for item in value]
    return float(value) if isinstance(value, LongNumber) else value


def holds(value: Any, wanted: object) -> bool:
    """Whether `wanted` is this very object or one within it."""
    if value is wanted:
        return True
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(holds(item, wanted) for item in items)


def json_mistake(value: Any) -> str:
    """Why a value cannot be written as JSON in UTF-8, as the end of a sentence that names it; empty where it can.

    NaN and infinity pass: what they mean is the verifier's business.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "holds half a surrogate pair, which is not valid Unicode"
    except RecursionError:
        return "is nested too deeply"
    except (TypeError, ValueError) as error:
        return f"cannot be written as JSON: {error}. Use text, numbers, lists and dicts with text as keys"
    return ""


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ChangedByReading(f"the number {text:.40} is too large for a 64-bit float. Write it as text, in quotes")
    if len(text) > _EXACT_DIGITS and Decimal(repr(number)) != Decimal(text):
        return LongNumber(text)
    return number
