"""Takes off what stands around an answer: boxes, units, words such as "only", sizes of brackets, doubled
backslashes.
"""

from __future__ import annotations

import functools
import re

from verifiers.math.normalise import plain_text, readable, unwrapped
from verifiers.math.wording import plain_markdown, without_lead, without_ordinal, without_tail
from verifiers.response import boxes

MAX_CHARS = 16_000
"""Longer answers are compared as texts and numbers alone."""
_ONLY = re.compile(r"^(?:\\text\s*\{\s*)?only\b\s*\}?\s*", re.IGNORECASE)
_TEXT_UNIT = re.compile(
    r"(?<=[\w}\)!])\s*(?:\\[,;:! ]|~|\\quad)*\s*\\(?:text|mathrm|mbox|textrm|textnormal|rm|operatorname)"
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
        "plus",
        "minus",
        "over",
        "squared",
        "cubed",
        "divided",
        "mod",
        "inf",
        "oo",
        "a.m",
        "p.m",
        "am",
        "pm",
        "i",
        "e",
        "is",
        "are",
        "not",
        "no",
        "wrong",
        "incorrect",
        "false",
        "never",
        "if",
        "but",
        "except",
        "unless",
    }
)
_CLAUSE = frozenset(["is", "are", "for", "where", "if", "with", "when", "such", "and", "or", "not"])
_CIRCLED = re.compile("[\u2460-\u2473]")
_SIZES = re.compile(r"\\(?:big|Big|bigg|Bigg)[lrm]?(?![A-Za-z])")
_DOUBLED = re.compile(
    r"\\\\(?=(?:[dt]?frac|sqrt|l[et]q?|g[et]q?|pi|begin|end|text|times|cdot|infty|sin|cos|tan|pm|cup|left|right|boxed)(?![A-Za-z]))"
)
_LOOSE_GROUPS = re.compile(r"[+-]?\d{1,3}(?:, ?\d{3}){2,}|[+-]?\d{1,3}(?:,\d{3})+")
_BOX_AND_BOX = re.compile(r"\}\s*(?:\\q?quad)?\s*\\text\s*\{\s*(?:and|or|,)\s*\}\s*(?:\\q?quad)?\s*\\boxed\s*\{")
_DISJOINT_UNION = re.compile(r"\\(?:cupdot|sqcup|dot\s*\\cup|dot\s*\{\s*\\cup\s*\})(?![A-Za-z])")
_TAGS = re.compile(r"</?(?:sup|sub)>")
_TAG_MEANING = {"<sup>": "^{", "</sup>": "}", "<sub>": "_{", "</sub>": "}"}
_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|textbf|mathit|textit|mbox|textrm|textnormal|textsf|rm|bf)\s*\{([^{}]*)\}")
_PLAIN_FRACTION = re.compile(r"\\[dt]?frac\s*\{(\d+)\}\s*\{(\d+)\}")
_DIGIT_GROUP = re.compile(r"(?<=\d)(?:,\s*\\!\s*|\{,\})(?=\d{3}(?!\d))")
"""A comma that is written so that it parts no list."""
_AND_IN_TEXT = re.compile(r"\\text\s*\{([^{}]*)\band\b([^{}]*)\}")
_UNIT_IN_LIST = re.compile(r"(?<=\d)\s*\\text\s*\{\s*[^{}]*\}\s*(?=,)")
_DELIMITERS = re.compile(r"(?<!\\)\\[()\[\]]")
_BESIDE_BOX = re.compile(r"[\d})]\s*\\boxed")
_BULLET = re.compile(r"^\s*(?:[-*\u2022]|\d+[.)])\s+")
_LISTED = re.compile(r"^[^.!?]{0,60}\d[^.!?]{0,20}$|^\$.{1,60}\$$")
_DELIMITED = re.compile(r"(?<!\\)\$\$?([^$]*)\$\$?")
_WRAPPING = re.compile(r"^\\[(\[]|\\[)\]]\.?$|^\$+|\$+\.?$")


_ALONE = re.compile(r"-?[0-9]{1,400}(?:\.[0-9]{1,400})?")
_REMEMBERED = 256
_REMEMBERED_CHARS = 1000
"""Both forms of the last texts of at most so many characters: a reference is compared with a whole group of answers."""


def prepared(text: str) -> str:
    """An answer without what is said around it. What LaTeX marks as words is used for that, and then becomes plain
    text.
    """
    return forms(text)[0]


def worded(text: str) -> str:
    """An answer with all of its words and units, less what writes them: dollars, LaTeX's text, spacing."""
    return forms(text)[1]


def forms(text: str) -> tuple[str, str]:
    """`prepared` and `worded`. A plain number is both."""
    if len(text) <= _REMEMBERED_CHARS:
        return (text, text) if _ALONE.fullmatch(text) else _short_forms(text)
    return _forms(text)


def _forms(text: str) -> tuple[str, str]:
    if len(text) > MAX_CHARS:
        plain = plain_text(text)
        return plain, plain
    text = cleaned(text)
    return _prepared(text), _worded(text)


_short_forms = functools.lru_cache(maxsize=_REMEMBERED)(_forms)


def _prepared(text: str) -> str:
    """`cleaned` text, prepared."""
    if not text.isascii():
        text = readable(_CIRCLED.sub(lambda sign: f" {ord(sign.group()) - 0x245F}, ", text))
    text = text.strip().rstrip(",\\^ ")
    if text[:1] == "\\" and text[1:2].isdecimal():
        text = text[1:]
    if text.count("$") - text.count("\\$") > 1:
        text = text.replace("\\$", "\0").replace("$", "").replace("\0", "\\$")
    if "\\langle" in text and "," in text:
        text = text.replace("\\langle", "(").replace("\\rangle", ")")
    if "\\big" in text or "\\Big" in text or "\\\\" in text:
        text = _SIZES.sub("", _DOUBLED.sub(r"\\", text))
    if "cup" in text:
        text = _DISJOINT_UNION.sub(r"\\cup", text)
    text = _without_idle_commas(text)
    if "," in text and _LOOSE_GROUPS.fullmatch(text):
        text = text.replace(", ", ",")
    if "\\boxed" in text:
        text = unboxed(_BOX_AND_BOX.sub(" , ", text))
    text = thinned(text)
    if "<" in text:
        text = _TAGS.sub(lambda tag: _TAG_MEANING[tag.group()], text)
    if "\\text" in text:
        # "7 goats and 4 toys" is a list of two; words between a number and a comma are its unit.
        text = _AND_IN_TEXT.sub(r"\\text{\1} , \\text{\2}", text)
        text = _UNIT_IN_LIST.sub("", text)
    return tidy(text)


def _worded(text: str) -> str:
    """`cleaned` text with its words, as plain text."""
    if "\\boxed" in text or not _is_clean(text):
        text = cleaned(unboxed(text))
    if "\\\\" in text:
        text = _DOUBLED.sub(r"\\", text)
    text = _without_idle_commas(text).replace("{,}", ",")
    if "$" in text:
        text = _DELIMITED.sub(lambda formula: formula.group() if _holds_words(formula[1]) else f" {formula[1]} ", text)
    if "\\" in text and "{" in text:
        text = _TEXT.sub(r" \1 ", _PLAIN_FRACTION.sub(r" \1/\2", text))
    return plain_text(text)


def _without_idle_commas(text: str) -> str:
    """1{,}000 and 1,\\!000 as 1000."""
    if "\\!" in text or "{,}" in text:
        text = _DIGIT_GROUP.sub("", text).replace(",\\!", ",").replace(", \\!", ",")
    return text


def cleaned(text: str) -> str:
    """An answer without what stands around it: Markdown, the delimiters of formulas, the ending of an ordinal, and what
    explains it.
    """
    text = readable(_one_line(text))
    for _ in range(4):
        inner = _inner(text)
        if inner == text:
            break
        text = inner
    text = without_ordinal(text)
    return _DELIMITERS.sub(" ", text) if "\\" in text else text


def _inner(text: str) -> str:
    return without_lead(unwrapped(plain_markdown(without_tail(text).strip())).strip())


def _is_clean(text: str) -> bool:
    """Whether `cleaned` would leave a text that it has given as it is."""
    return text.isascii() and "\n" not in text and without_ordinal(text) == text == _inner(text)


def _one_line(text: str) -> str:
    """Lines of a list, with or without bullets, as one line with commas between them."""
    if "\n" not in text or "\\begin" in text or len(text) > 600:
        return text
    lines = [_BULLET.sub("", line).strip().rstrip(",;") for line in text.strip().splitlines() if line.strip()]
    return ", ".join(lines) if len(lines) > 1 and all(_LISTED.search(line) for line in lines) else text


def _holds_words(formula: str) -> bool:
    """Whether what stands between two dollars are words: then they are amounts of money, "$3 for tea, $8"."""
    return re.search(r"(?<![\\A-Za-z{])[A-Za-z]{3,}", _TEXT.sub(" ", formula)) is not None


def tidy(text: str) -> str:
    """The plain form of an answer or a part of one, without "only" and without the unit that LaTeX marks as a word."""
    text = text.strip()
    if "\\text" in text or "\\mathrm" in text or "\\mbox" in text:
        text = _ONLY.sub("", _TEXT_UNIT.sub(_dropped_unit, text))
    return plain_text(text)


def _dropped_unit(match: re.Match[str]) -> str:
    words = match[1].lower().strip(". ")
    return match.group() if words in NO_UNITS or words.split()[0] in _CLAUSE else ""


def unboxed(text: str) -> str:
    """Boxes opened: \\boxed{3} and \\boxed{4} is the list 3 and 4."""
    if "\\boxed" not in text:
        return text
    contents, is_open = boxes(text)
    if is_open or not contents:
        return text
    unboxed_text = text
    for content in contents:
        apart = len(contents) > 1 or _BESIDE_BOX.search(text)
        shown = f" , {content} , " if apart else content
        unboxed_text = unboxed_text.replace(f"\\boxed{{{content}}}", shown, 1)
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
