"""Takes off what stands around an answer: boxes, units, words such as "only", sizes of brackets, doubled
backslashes.
"""

from __future__ import annotations

import re

from verifiers.math.normalise import plain_text, readable
from verifiers.response import boxes

MAX_CHARS = 16_000
"""Longer answers are compared as texts and numbers alone."""
_ONLY = re.compile(r"^(?:\\text\s*\{\s*)?only\b\s*\}?\s*", re.IGNORECASE)
_TEXT_UNIT = re.compile(
    r"(?<=[\w}\)])\s*(?:\\[,;:! ]|~|\\quad)*\s*\\(?:text|mathrm|mbox|textrm|textnormal|rm|operatorname)"
    r"\s*\{\s*([A-Za-z][^{}]*?)\s*\}\s*(?:\^\s*\{?\s*-?\d\s*\}?)?\s*[.]?$"
)
NO_UNITS = frozenset(
    {
        "sin",
        "cos",
        "tan",
        "log",
        "ln",
        "exp",
        "sqrt",
        "pi",
        "and",
        "or",
        "to",
        "times",
        "mod",
        "inf",
        "oo",
        "a.m",
        "p.m",
        "am",
        "pm",
    }
)
_CIRCLED = re.compile("[\u2460-\u2473]")
_SIZES = re.compile(r"\\(?:big|Big|bigg|Bigg)[lrm]?(?![A-Za-z])")
_DOUBLED = re.compile(
    r"\\\\(?=(?:[dt]?frac|sqrt|l[et]q?|g[et]q?|pi|begin|end|text|times|cdot|infty|sin|cos|tan|pm|cup|left|right|boxed)(?![A-Za-z]))"
)
_LOOSE_GROUPS = re.compile(r"[+-]?\d{1,3}(?:, ?\d{3}){2,}|[+-]?\d{1,3}(?:,\d{3})+")
_BOX_AND_BOX = re.compile(r"\}\s*(?:\\q?quad)?\s*\\text\s*\{\s*(?:and|or|,)\s*\}\s*(?:\\q?quad)?\s*\\boxed\s*\{")
_TAGS = re.compile(r"</?(?:sup|sub)>")
_TAG_MEANING = {"<sup>": "^{", "</sup>": "}", "<sub>": "_{", "</sub>": "}"}
_WRAPPING = re.compile(r"^\\[(\[]|\\[)\]]\.?$|^\$+|\$+\.?$")


def prepared(text: str) -> str:
    """An answer without what is said around it. What LaTeX marks as words is used for that, and then becomes plain
    text.
    """
    if len(text) > MAX_CHARS:
        return plain_text(text)
    text = readable(_CIRCLED.sub(lambda sign: f" {ord(sign.group()) - 0x245F}, ", text)).strip().rstrip(",\\^ ")
    text = re.sub(r"^\\(?=\d)", "", text)
    if text.count("$") - text.count("\\$") > 1:
        text = text.replace("\\$", "\0").replace("$", "").replace("\0", "\\$")
    text = _SIZES.sub("", _DOUBLED.sub(r"\\", text)).replace(",\\!", ",").replace(", \\!", ",")
    if _LOOSE_GROUPS.fullmatch(text):
        text = text.replace(", ", ",")
    text = _BOX_AND_BOX.sub(" , ", text)
    text = thinned(unboxed(text))
    text = _TAGS.sub(lambda tag: _TAG_MEANING[tag.group()], text)
    # "7 goats and 4 toys" is a list of two; words between a number and a comma are its unit.
    text = re.sub(r"\\text\s*\{([^{}]*)\band\b([^{}]*)\}", r"\\text{\1} , \\text{\2}", text)
    text = re.sub(r"(?<=\d)\s*\\text\s*\{\s*[^{}]*\}\s*(?=,)", "", text)
    return tidy(text)


def tidy(text: str) -> str:
    """The plain form of an answer or a part of one, without "only" and without the unit that LaTeX marks as a word."""
    text = text.strip()
    if "\\text" in text or "\\mathrm" in text or "\\mbox" in text:
        text = _ONLY.sub("", _TEXT_UNIT.sub(_dropped_unit, text))
    return plain_text(text)


def _dropped_unit(match: re.Match[str]) -> str:
    return match.group() if match[1].lower().strip(". ") in NO_UNITS else ""


def unboxed(text: str) -> str:
    """Boxes opened: \\boxed{3} and \\boxed{4} is the list 3 and 4."""
    if "\\boxed" not in text:
        return text
    contents, is_open = boxes(text)
    if is_open or not contents:
        return text
    unboxed_text = text
    for content in contents:
        unboxed_text = unboxed_text.replace(f"\\boxed{{{content}}}", content, 1)
    return _WRAPPING.sub("", unboxed_text).strip()


def thinned(text: str) -> str:
    """((((x)))) as (x): brackets that hold nothing but brackets of their kind. One pass."""
    if text[:2] not in ("((", "{{"):
        return text
    closers: dict[int, int] = {}
    stack: list[int] = []
    for place, sign in enumerate(text):
        if sign in "({":
            stack.append(place)
        elif sign in ")}" and stack:
            closers[stack.pop()] = place
    layers, last = 0, len(text) - 1
    while closers.get(layers) == last - layers and closers.get(layers + 1) == last - layers - 1:
        layers += 1
    return text[layers : len(text) - layers]
