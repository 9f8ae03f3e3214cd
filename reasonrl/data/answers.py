"""Finding the gold answer in a worked solution of a data set. Only for gold solutions: a model's response is the
verifier's business.
"""

from __future__ import annotations

import re
from decimal import Decimal

_MARKER = re.compile(r"^####[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_NUMBER_WITH_COMMAS = re.compile(r"[-+]?\$?\d{1,3}(,\d{3})+(\.\d+)?")
_BOX = re.compile(r"\\(?:boxed|fbox)\s*")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


def marked_answer(text: str) -> str | None:
    """What follows the last "####" at the start of a line, as GSM8K marks it, thousands commas removed. None if there
    is none.
    """
    marked = _MARKER.findall(text)
    if not marked:
        return None
    return marked[-1].replace(",", "") if _NUMBER_WITH_COMMAS.fullmatch(marked[-1]) else marked[-1]


def boxed_answer(text: str) -> str | None:
    r"""The content of the last complete \boxed{...} (or \fbox, or MATH's brace-less "\boxed 2"), as MATH marks it. None
    if none.
    """
    for match in reversed(list(_BOX.finditer(text))):
        tail = text[match.end() :]
        if tail.startswith("{"):
            content = _braced(tail)
            if content is not None:
                return content.strip()
        elif match.group().endswith(" ") and tail and tail[0] not in "$\\":
            return re.split(r"[\s$]", tail, maxsplit=1)[0].rstrip(".,")
    return None


def number_text(number: int | float) -> str:
    """A finite number as a person writes it: 42.0 is "42", 1e-07 is "0.0000001"."""
    if isinstance(number, int):
        return str(number)
    text = format(Decimal(repr(number)), "f")
    return text.removesuffix(".0")


def _braced(text: str) -> str | None:
    """The inside of the group that opens `text`, or None if it never closes. Escaped braces do not count."""
    depth = 0
    for match in _BRACE.finditer(text):
        if match.group() == "{":
            depth += 1
        elif match.group() == "}":
            depth -= 1
            if depth == 0:
                return text[1 : match.start()]
    return None
