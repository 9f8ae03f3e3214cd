"""Gold answers as their publishers write them, in the form that the verifier reads."""

from __future__ import annotations

import ast
import re
from typing import Any

from reasonrl.data.answers import boxed_answer, marked_answer

_WHOLE_FLOAT = re.compile(r"(-?\d+)\.0+")


def plain(value: Any) -> str:
    """A text or a number; a box around it is taken off. Raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"an answer must be a text or a number, not {value!r:.60}")
    text = str(value).strip()
    text = boxed_answer(text) or text
    if not text:
        raise ValueError("the answer is empty")
    return text


def integer(value: Any) -> str:
    """Golds of AIME and AMC: "025" is 25 and "27.0" is 27. Raises ValueError for what is no whole number."""
    text = plain(value).strip("$").replace(",", "")
    if whole := _WHOLE_FLOAT.fullmatch(text):
        text = whole[1]
    if not re.fullmatch(r"-?\d+", text):
        raise ValueError(f"the answer must be a whole number, not {value!r:.60}")
    return str(int(text))


def marked(value: Any) -> str:
    """Golds of GSM8K: what stands behind "####", or a bare number."""
    text = plain(value)
    return marked_answer(text) or text.replace(",", "")


def several(value: Any) -> str:
    """Golds of OlympiadBench: a list, or its text; several answers are joined by commas."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            return plain(value)  # an interval such as [1, 2)
    if not isinstance(value, list):
        return plain(value)
    if not value:
        raise ValueError("the list of answers is empty")
    return ", ".join(plain(entry).strip("$") for entry in value)
