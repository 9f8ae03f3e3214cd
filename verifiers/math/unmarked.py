"""The answer of a response that marks none: its last formula or number, with what belongs to it."""

from __future__ import annotations

import re

from verifiers.math.expression import Unreadable, read_expression
from verifiers.math.layers.choices import choice_in_sentence, choice_of
from verifiers.math.normalise import readable
from verifiers.response import Extraction

_LAST_CHARS = 200
"""The last number mostly stands in so much text."""
_LETTER = re.compile(r"[A-Za-z]")
_TWO_LETTERS = re.compile(r"(?<![\\A-Za-z])[^\W\d_]{2}")
_FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<!\\)\$([^$\n]+?)(?<!\\)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_LONE_LETTER = re.compile(r"\s*\\?[A-Za-z]+\s*")
_BULLETS = re.compile(r"[.,;]?\s*\n\s*[-*\u2022]\s+")
_CONNECTOR = re.compile(r"\s*(?:,|;|and|or|,\s*(?:and|or))\s*", re.IGNORECASE)
_DENIAL = re.compile(
    r"\b(?:answer|result|value|solution)\s+(?:is\s+not|isn't|can(?:not|'t)\s+be|is\s+never)\b(?:(?![.!?]\s+[A-Z])[^\n])*$",
    re.IGNORECASE,
)
_SCRIPTS = re.compile(r"[\u2e80-\ufaff\uff00-\uff0f\uff1a-\uffef\u0590-\u0fff]+")
_COMPOSED = re.compile(r"[\u03c0\u221a\u221b^*/!]|\d[eE]\d|\dpi\b")
_SIGN = r"(?:(?:(?<=is )|(?<== )|(?<=: ))[-\u2212] (?=\d)|(?<![A-Za-z0-9_.])[-+\u2212]?)"
_NUMBER = re.compile(
    rf"(?:(?<![\w.:])\d{{1,4}}(?::\d{{1,4}}){{1,3}}(?![\d:])(?:\s?[AaPp]\.?[Mm]\b)?|{_SIGN}\d+\s+\d+/\d+|{_SIGN}(?:\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d+)(?:\.\d+)?(?:/\d+)?%?|{_SIGN}\.\d+%?)"
    r"(?![\d.]*[xyzkni](?![A-Za-z0-9_]))"
)
"""Also 2:30 PM and 3:5, and "- 5" behind "is" or an equals sign."""
_SCALE = re.compile(r"\s(?:thousand|million|billion|trillion)\b")
_LENGTH = r"(?:[mcdk]?m|in|ft|yd|units?|inches|feet|meters?|metres?)"
_UNIT_FORMULA = re.compile(
    rf"(?<=[A-Za-z ])\$(?=[^\s$])(?:\\(?:text|mathrm|rm)\s*\{{\s*[A-Za-z ]+\s*\}}|{_LENGTH})?"
    r"\s*(?:\^\s*\{?\s*[23]\s*\}?)?\s*\$"
)
"""The unit behind a number, in a formula of its own: 36 cm$^2$, $36$ $\\text{cm}^2$."""
_UNIT_POWER = re.compile(rf"(?<=\d)(\s*{_LENGTH})\^\{{?[23]\}}?")
"""36 cm^2, whose last number is not the answer."""
_PLAIN_FORMULA = re.compile(r"=\s*(?P<formula>[\w.()+*/^ -]{3,60}?)\s*[.!]?\s*$")


def last_expression(text: str) -> Extraction | None:
    """The last formula, with its list if it ends one; else the one choice, or the last number. None if there is none,
    or the text denies that it is the answer.
    """
    if not _TWO_LETTERS.search(text) and not re.search(r"[\n$=]", text) and re.search(r"\w", text):
        return Extraction(trimmed(text), "the whole response")  # "3+2": an expression and nothing else
    lower = text.casefold()
    if any(word in lower for word in ("not", "n't", "never")) and _DENIAL.search(text):
        return None
    if "$" in text:
        text = _UNIT_FORMULA.sub(" ", text)
    elif "^" in text:
        text = _UNIT_POWER.sub(r"\1", text)
    formulas = list(_FORMULA.finditer(text))
    # A lone letter ("given A and B") is not an answer where there is another formula.
    while (
        len(formulas) > 1
        and _LONE_LETTER.fullmatch(_content(formulas[-1]))
        and not _LONE_LETTER.fullmatch(_content(formulas[0]))
    ):
        formulas.pop()
    formula = formulas[-1] if formulas else None
    number = _last_number(text)
    if formula is not None and (number is None or formula.end() >= number.end()):
        together = [_content(formula)]
        end = formula.start()
        for earlier in reversed(formulas[:-1]):  # "x = -1, x = 2 and x = -2"
            if _BULLETS.fullmatch(text[earlier.end() : end]) and _assigned_name(_content(earlier)):  # one a line
                together.insert(0, _content(earlier))
                end = earlier.start()
                continue
            if not _CONNECTOR.fullmatch(text[earlier.end() : end]) or _assigned_name(
                _content(earlier)
            ) != _assigned_name(together[0]):
                break
            together.insert(0, _content(earlier))
            end = earlier.start()
        content = ", ".join(trimmed(part) for part in together)
        mark = "last formula" if len(together) == 1 else "last formulas"
        return Extraction(content, mark) if content.strip(" ,") else None  # "$.$" holds nothing
    last_line = text.rsplit("\n", 1)[-1].strip()
    if number is None and (choice := choice_of(last_line)) and not choice.statement:
        return Extraction(choice.letter, "the one choice")
    if number is None and (letter := choice_in_sentence(last_line)):
        return Extraction(letter, "the one choice")
    if number is not None:
        if scale := _SCALE.match(text, number.end()):
            return Extraction(number.group() + scale.group(), "last number")
        return Extraction(_written_out(text) or _expression_around(text, number) or number.group(), "last number")
    return None


def _last_number(text: str) -> re.Match[str] | None:
    """The last number. None holds a letter, so the end of the text is searched first, from a letter on."""
    for chars in (_LAST_CHARS, len(text)):
        letter = _LETTER.search(text, max(0, len(text) - chars)) if chars < len(text) else None
        number = None
        for number in _NUMBER.finditer(text, letter.start() if letter else 0):  # noqa: B007 -- the last one is wanted
            continue
        if number is not None:
            return number
    return None


def _written_out(text: str) -> str | None:
    """The formula with a letter that stands at the end behind an equals sign: x^2 - 4 in "f(x) = x^2 - 4"."""
    match = _PLAIN_FORMULA.search(text[-100:])
    if match is None or not re.search(r"[a-z]", match["formula"]) or _TWO_LETTERS.search(match["formula"]):
        return None
    try:
        read_expression(match["formula"])
    except Unreadable:
        return None
    return match["formula"]


def _expression_around(text: str, number: re.Match[str]) -> str | None:
    """The expression without spaces that a number is a piece of: 3√11, (13/12)π, 1.82e11. None if there is none."""
    start, end = (text.rfind(" ", 0, number.start()) + 1, text.find(" ", number.end()))
    line = text[start : end if end >= 0 else len(text)].split("\n")[-1]
    run = next((piece for piece in _SCRIPTS.split(line) if number.group() in piece), "")
    run = run.strip("*`").rstrip(".,;:?").rpartition("=")[2]
    if not _COMPOSED.search(run) or number.group() not in run:
        return None
    try:
        read_expression(readable(run))
    except Unreadable:
        return None
    return run


def _content(formula: re.Match[str]) -> str:
    return next(group for group in formula.groups() if group is not None)


def _assigned_name(formula: str) -> str:
    """What an equation x = 1 is about; formulas that are no equations share the empty name."""
    return formula.partition("=")[0].strip() if "=" in formula else ""


def trimmed(text: str) -> str:
    """Without the spaces, the stars of Markdown, the dollars around the whole and the full stop of the sentence."""
    text = text.strip().strip("*`").strip()
    while text.endswith((".", ",", ";")) and not text.endswith("\\,"):
        text = text[:-1].rstrip("*` ")
    for left, right in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        inner = text[len(left) : len(text) - len(right)]
        if len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right) and left not in inner:
            return inner.strip()
    return text
