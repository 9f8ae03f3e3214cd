"""x = 5, f(x) = 2x, (x, y) = (1, 2): what is assigned to, and the value."""

from __future__ import annotations

import re

from verifiers.math.structure import sides
from verifiers.math.vocabulary import FUNCTIONS

NAME = r"\\?[A-Za-z]{1,8}(?:_(?:\w|\{[^{}]*\}))?'{0,2}"
_GEOMETRY = re.compile(
    r"(?:m\s*)?\\(?:angle|measuredangle|widehat|overline|overrightarrow|vec|triangle)\s*\{?\s*[A-Z]{1,3}'*\s*\}?"
    r"|\\?[lr]?vert\s*[^|=]{1,30}?\\?[lr]?vert|\|\s*(?:\\\w+\s*\{?\s*)?[A-Za-z]{1,4}\s*\}?\s*\|"
    r"|\\[dt]?frac\s*\{\s*d\s*[a-zA-Z]\s*\}\s*\{\s*d\s*[a-zA-Z]\s*\}|\\[dt]?frac\s*\{\s*[A-Z]{2}\s*\}\s*\{\s*[A-Z]{2}\s*\}"
    r"|[A-Za-z]\s*\^\s*\{\s*-\s*1\s*\}\s*\(\s*[a-z]\s*\)"
    r"|\\(?:sin|cos|tan|cot)\s*(?:\(?\s*\\?[A-Za-z]{1,6}\s*\)?|\\angle\s*[A-Z]{1,3})|[A-Z]{2,4}'*|S_\{?\\?(?:triangle)?\s*[A-Z]{3,4}\}?"
)
"""What a value may be said to be of: lengths, angles, areas, ratios, derivatives, inverse functions, cosines."""
_ASSIGNED = re.compile(
    rf"(?:{NAME}|{NAME}\s*\(\s*[^()=]{{1,40}}\)|\({NAME}(?:\([^()]*\))?(?:\s*,\s*{NAME}(?:\([^()]*\))?)*\)|{NAME}(?:\s*:\s*{NAME})+)"
)


def unassigned(text: str, other: str) -> str:
    """The value of x = 5, where the other side is no equation."""
    if "=" in text and "=" not in other:
        parts = sides(text)
        if len(parts) == 2 and is_head(parts[0]):
            return parts[1]
    return text


def is_head(text: str) -> bool:
    """A name that something is assigned to: x, a_1, f(x), (x, y), A:B; no function that has a value of its own."""
    if _GEOMETRY.fullmatch(text):
        return True
    names = re.findall(r"[A-Za-z]+", text)
    return _ASSIGNED.fullmatch(text) is not None and names[0] not in FUNCTIONS and text not in ("i", "\\pi")


def assigned_value(text: str) -> str:
    """The value of x = 5; any other text as it is."""
    parts = sides(text)
    return parts[-1] if len(parts) == 2 and is_head(parts[0]) else text
