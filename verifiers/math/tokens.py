"""The tokens of a written expression: numbers, LaTeX commands, letters, signs."""

from __future__ import annotations

import re

from verifiers.math.vocabulary import FUNCTIONS

_IGNORED = frozenset(
    {"\\limits", "\\nolimits", "\\big", "\\Big", "\\bigg", "\\Bigg", "\\bigl", "\\bigr", "\\Bigl", "\\Bigr", "\\middle"}
)

_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4}(?![\w.]))?)|(?P<other>\\[A-Za-z]+|\\.|[A-Za-z]+|\*\*|\S)",
    re.DOTALL,
)
_WORD = re.compile(r"[A-Za-z]+")


class Unreadable(ValueError):
    """The text is not an expression that can be read here. The message says why."""


def is_digits(text: str) -> bool:
    """Digits that Python reads as a number: '²'.isdigit() is true as well."""
    return text.isascii() and text.isdigit()


def tokens_of(text: str) -> tuple[list[str], list[bool]]:
    """The tokens, and whether a space stands before each: "1 1/2" is not "11/2". Raises Unreadable."""
    tokens: list[str] = []
    spaced: list[bool] = []
    end = 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token in _IGNORED:
            continue
        gap = match.start() > end
        for part in _parts(token):
            tokens.append(part)
            spaced.append(gap)
            gap = False
        end = match.end()
    return tokens, spaced


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
