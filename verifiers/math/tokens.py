"""The tokens of a written expression: numbers, LaTeX commands, letters, signs."""

from __future__ import annotations

import re

from verifiers.math.vocabulary import FUNCTIONS, GREEK_SIGNS, SYNONYMS

_IGNORED = frozenset(
    {
        "\\limits",
        "\\nolimits",
        "\\big",
        "\\Big",
        "\\bigg",
        "\\Bigg",
        "\\bigl",
        "\\bigr",
        "\\Bigl",
        "\\Bigr",
        "\\middle",
        "\\checkmark",
    }
)

_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4}(?![\w.]))?)|(?P<other>\\[A-Za-z]+|\\.|[A-Za-z]+|\*\*|\S)",
    re.DOTALL,
)
_WORD = re.compile(r"[A-Za-z]+")
_REPEATING = re.compile(
    r"(?<![\d.])(?P<whole>\d*+)\.(?P<start>\d*+)"
    r"(?:\\(?:overline|bar)\s*\{?(?P<barred>\d+)\}?|\\dot\s*\{?(?P<first>\d)\}?(?:(?P<between>\d*+)\\dot\s*\{?(?P<last>\d)\}?)?"
    r"|\((?P<bracketed>\d+)\))"
)
"""0.1\\overline{6}, 0.\\dot{1}\\dot{2} (the first and the last digit of what repeats), 0.1(6)."""
_TIMES_TEN = re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*(?:\^|\*\*))")
_CHOSEN = re.compile(r"(?:\{\s*\}\s*)?_\{?(\w{1,9})\}?\s*C\s*_\{?(\w{1,9})\}?")
_UNIT_VECTOR = re.compile(r"\\hat\s*\{?\s*\\?([ijk])(?:math)?\s*\}?")
_NAMED = re.compile(r"\\operatorname\*?\s*\{\s*([a-z]+)\s*\}")
_CHOSEN_FROM = re.compile(r"(?<![A-Za-z\\])C\s*_\s*\{?(\d{1,4})\}?\s*\^\s*\{?(\d{1,4})\}?")
_DASHED = re.compile(r"(^|[(\[,=^{*+])\s*[\u2013\u2014]\s*(?=[\d.\\A-Za-z(])")
"""A dash that is a minus sign: at the beginning, or after an operator."""
MAX_REPEATING = 40


class Unreadable(ValueError):
    """The text is not an expression that can be read here. The message says why."""


def is_digits(text: str) -> bool:
    """Digits that Python reads as a number: '²'.isdigit() is true as well."""
    return text.isascii() and text.isdigit()


def tokens_of(text: str) -> tuple[list[str], list[bool]]:
    """The tokens, and whether a space stands before each: "1 1/2" is not "11/2". Raises Unreadable."""
    text = respelt(text)
    tokens: list[str] = []
    spaced: list[bool] = []
    end = 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token in _IGNORED:
            continue
        token = SYNONYMS.get(token, token)
        gap = match.start() > end
        for part in _parts(token):
            tokens.append(part)
            spaced.append(gap)
            gap = False
        end = match.end()
    return tokens, spaced


def respelt(text: str) -> str:
    """A repeating decimal as a fraction, 6 x 10^5 with \\times, {}_{5}C_{2} as a binomial, and the letters of Greek."""
    if not text.isascii():
        text = _DASHED.sub(r"\1-", text.translate(GREEK_SIGNS))
    if "." in text and ("\\" in text or "(" in text):
        text = _REPEATING.sub(_as_fraction, text)
    if "C" in text and "_" in text:
        text = _CHOSEN_FROM.sub(r"\\binom{\1}{\2}", _CHOSEN.sub(r"\\binom{\1}{\2}", text))
    if "\\hat" in text:
        text = _UNIT_VECTOR.sub(r" \1 ", text)
    if "\\operatorname" in text:
        text = _NAMED.sub(lambda name: f" \\{name[1]} " if name[1] in FUNCTIONS else name.group(), text)
    return _TIMES_TEN.sub(r"\\times ", text) if "10" in text and ("x" in text or "X" in text) else text


def _as_fraction(match: re.Match[str]) -> str:
    period = match["barred"] or match["bracketed"] or match["first"] + (match["between"] or "") + (match["last"] or "")
    digits = (match["whole"] or "0") + match["start"]
    if len(digits) + len(period) > MAX_REPEATING:
        return match.group()
    whole, shift = int(digits), 10 ** len(period) - 1
    return f"\\frac{{{whole * shift + int(period)}}}{{{shift * 10 ** len(match['start'])}}}"


def _parts(token: str) -> list[str]:
    """Letters that stand together are a product, unless they are a function's name or a word."""
    if not _WORD.fullmatch(token) or token in FUNCTIONS or token == "pi" or len(token) == 1:
        return [token]
    for name in sorted(FUNCTIONS, key=len, reverse=True):
        if token.startswith(name) and len(token) == len(name) + 1:  # sinx
            return [name, token[len(name) :]]
    if len(token) > 3:
        raise Unreadable(f"the word '{token[:20]}'")
    return list(token)
