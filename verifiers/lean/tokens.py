"""Lean source as tokens, enough to tell code from comments, strings and quoted names.

Lean's own lexer depends on what has been declared so far. Where a text could be read in two ways (a string within an
interpolated one, a comment that begins within an operator), nothing is guessed: from there on the tokens are those of
the bare text, with comments and strings taken for code. Whoever looks for a word then finds it wherever it stands.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    WORD = "word"
    """A name or a keyword; of a dotted name all parts: h.left, Nat.«my name»."""
    HASH = "hash"
    """#word: a command, or an operator before a name."""
    SYMBOL = "symbol"
    """One character, or := """
    NUMBER = "number"
    TEXT = "text"
    """A string or a character."""
    COMMENT = "comment"
    DOC = "doc"
    """/-- ... -/ or /-! ... -/"""


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str
    start: int
    """Offset in the source."""

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def is_code(self) -> bool:
        return self.kind not in (Kind.COMMENT, Kind.DOC)


_LETTERS = (
    "A-Za-z_\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017f\u0391-\u039f\u03a1\u03a2\u03a4-\u03a9\u03b1-\u03ba\u03bc-\u03fb"
    "\u1f00-\u1ffe\u2100-\u214f\U0001d49c-\U0001d59f"
)
"""As Lean's `isIdFirst`: Latin and Greek without λ, Π and Σ, and letter-like signs."""
_FOLLOWING = _LETTERS + "0-9'!?\u2080-\u2089\u2090-\u209c\u1d62-\u1d6a\u2c7c"
_PART = f"(?:[{_LETTERS}][{_FOLLOWING}]*|«[^»]*»)"
_WORD = re.compile(rf"{_PART}(?:\.{_PART})*")
_HASH = f"#[{_LETTERS}][{_FOLLOWING}]*"
_NUMBER = "0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|[0-9][0-9_]*(?:[eE][+-]?[0-9]+)?"
_SIMPLE = re.compile(rf"({_WORD.pattern})|({_HASH})|({_NUMBER})|(:=|.)", re.DOTALL)
_SIMPLE_KINDS = (Kind.WORD, Kind.HASH, Kind.NUMBER, Kind.SYMBOL)
_BARE_WORD = re.compile(f"#?[{_LETTERS}][{_FOLLOWING}]*")
_SPACE_RUN = re.compile(r"[ \t\r\n]*")
_NEEDS_CARE = frozenset("-/\"r'«")
"""Characters at which something else than a name, a number or a symbol may begin."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_RAW_STRING = re.compile(r'r(#*)".*?"\1', re.DOTALL)
_RAW_START = re.compile(r'r#*"')
_CHARACTER = re.compile(r"'(?:\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)|[^\\'\n])'")
_COMMENT_STEP = re.compile(r"/-|-/")
_BEFORE_TEXT = frozenset(" \t\r\n()[]{}⟨⟩,;:=>")
"""What may stand directly before a string, a character or a comment without being a part of it."""
_HIDES = frozenset('"«»')
"""A character literal of these would hide how the text goes on, if it were read as something else."""


def tokens(source: str) -> list[Token]:
    """All tokens in order; white space is left out. Never raises."""
    return list(_tokens(source))


def _tokens(source: str) -> Iterator[Token]:
    place = _behind_space(source, 0)
    while place < len(source):
        token = _plain(source, place) if source[place] in _NEEDS_CARE else _simple(source, place)
        if token is None:
            yield from _bare(source, place)
            return
        yield token
        place = _behind_space(source, token.start + len(token.text))


def _behind_space(source: str, place: int) -> int:
    match = _SPACE_RUN.match(source, place)
    return match.end() if match else place


def _plain(source: str, place: int) -> Token | None:
    """The token at a place; None where it could be read in two ways."""
    character = source[place]
    is_apart = place == 0 or source[place - 1] in _BEFORE_TEXT
    if source.startswith("--", place):
        follows_name = re.match(f"[{_FOLLOWING}»]", source[place - 1]) is not None if place else False
        end = source.find("\n", place)
        text = source[place:] if end < 0 else source[place:end]
        return Token(Kind.COMMENT, text, place) if is_apart or follows_name else None
    if source.startswith("/-", place):
        return _comment(source, place) if is_apart else None
    if character == '"':
        match = _STRING.match(source, place)
        return Token(Kind.TEXT, match[0], place) if match and is_apart and "{" not in match[0] else None
    if character == "r" and _RAW_START.match(source, place):
        raw = _RAW_STRING.match(source, place)
        is_clear = raw is not None and is_apart and "\\" not in raw[0] and "{" not in raw[0]
        return Token(Kind.TEXT, raw[0], place) if raw is not None and is_clear else None
    if character == "'" and (literal := _CHARACTER.match(source, place)):
        return Token(Kind.TEXT, literal[0], place) if is_apart and not _HIDES & set(literal[0]) else None
    if character == "«" and _WORD.match(source, place) is None:  # not closed
        return None
    return _simple(source, place)


def _simple(source: str, place: int) -> Token:
    """A name, a number, a symbol."""
    match = _SIMPLE.match(source, place)
    assert match is not None and match.lastindex is not None
    return Token(_SIMPLE_KINDS[match.lastindex - 1], match[0], place)


def _comment(source: str, place: int) -> Token | None:
    """A block comment, which may hold others. One that is not closed goes to the end."""
    if source.startswith("/--/", place):  # empty, or the begin of a longer one: Lean's versions differ
        return None
    is_doc = source.startswith(("/--", "/-!"), place)
    depth, end = 1, place + (3 if is_doc else 2)
    while depth:
        step = _COMMENT_STEP.search(source, end)
        if step is None:
            end = len(source)
            break
        depth += 1 if step[0] == "/-" else -1
        end = step.end()
    return Token(Kind.DOC if is_doc else Kind.COMMENT, source[place:end], place)


def _bare(source: str, place: int) -> Iterator[Token]:
    """From a place on: names, numbers and symbols, whatever they stand in. Quotes around a name are left out."""
    place = _behind_space(source, place)
    while place < len(source):
        match = _BARE_WORD.match(source, place)
        if match:
            text = match[0].rstrip("!?'")  # `macro'` may be the end of a character literal
            token = Token(Kind.HASH if text[0] == "#" else Kind.WORD, text, place)
        else:
            token = _simple(source, place) if source[place] != "«" else Token(Kind.SYMBOL, "«", place)
        yield token
        place = _behind_space(source, token.end)


class Lines:
    """Line numbers of offsets, from 1 on."""

    def __init__(self, source: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", source))]

    def line(self, offset: int) -> int:
        return bisect.bisect_right(self._starts, offset)

    def column(self, offset: int) -> int:
        """From 0 on, in characters."""
        return offset - self._starts[self.line(offset) - 1]


OPENING = "([{⟨⦃⟦"
CLOSING = ")]}⟩⦄⟧"


def depths(sequence: list[Token]) -> Iterator[tuple[Token, int]]:
    """Each token with the number of brackets that are open around it."""
    depth = 0
    for token in sequence:
        if token.kind is Kind.SYMBOL and token.text in CLOSING:
            depth = max(0, depth - 1)
        yield token, depth
        if token.kind is Kind.SYMBOL and token.text in OPENING:
            depth += 1
