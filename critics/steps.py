"""Splitting a solution into steps. The pieces are the lines of the text as they stand: joined again they give its
words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, get_args

Style = Literal["auto", "paragraphs", "lines", "sentences"]

_PARAGRAPHS = re.compile(r"\n\s*\n")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\\$(])")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|cf|vs|Mr|Mrs|Dr|Fig|Eq|approx)\.$")


def split_steps(text: str, style: Style = "auto") -> tuple[str, ...]:
    """The steps of a solution.

    Args:
        text: the solution; blank pieces are left out.
        style: `paragraphs` (blank lines, as ProcessBench), `lines`, `sentences`; `auto` takes the first of these that
            gives more than one.

    Raises:
        ValueError: the text is blank ("a solution without steps"), or the style is unknown.
    """
    if style not in get_args(Style):
        raise ValueError(f"style must be one of {', '.join(get_args(Style))}, not {style!r}")
    if not text.strip():
        raise ValueError("the solution is empty: it has no steps")
    for way in ("paragraphs", "lines", "sentences") if style == "auto" else (style,):
        pieces = _split(text, way)
        if len(pieces) > 1:
            return pieces
    return (text.strip(),)


def before_step(text: str, steps: Sequence[str], index: int) -> str:
    """The text up to the step `index` (from 0): what stands there if the solution is written anew from it on. Blanks at
    the end are left out, line breaks are kept.

    Raises ValueError where the text does not hold these steps in this order.
    """
    place = 0
    for number, step in enumerate(steps[: index + 1]):
        begin = text.find(step, place)
        if begin < 0:
            raise ValueError(f"the text does not hold its step {number}")
        if number == index:
            return text[:begin].rstrip(" \t")
        place = begin + len(step)
    raise ValueError(f"there is no step {index}; there are {len(steps)}")


def _split(text: str, way: str) -> tuple[str, ...]:
    if way == "paragraphs":
        pieces = _PARAGRAPHS.split(text)
    elif way == "lines":
        pieces = text.split("\n")
    else:
        pieces, begin = [], 0
        for blank in _SENTENCE_END.finditer(text):
            if not _ABBREVIATION.search(text, begin, blank.start()):
                pieces.append(text[begin : blank.start()])
                begin = blank.end()
        pieces.append(text[begin:])
    return tuple(piece.strip() for piece in pieces if piece.strip())
