"""An answer as words and numbers: "14 chickens and 6 rabbits" is two numbers, each with its label.

Words that stand with numbers have a meaning, and are compared: they are never read as products of letters.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from verifiers.math.normalise import rational
from verifiers.math.opposites import opposites as opposites

MAX_CHARS = 600
"""Longer texts are prose, not phrases."""
_TOKEN = re.compile(
    r"(?P<clock>(?<![\d:.])\d{1,2}:[0-5]\d(?![\d:]))|(?P<number>(?:(?<![\w)}])[+-])?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:/\d+(?![\d/]))?%?|(?:(?<![\w)}])[+-])?\.\d+)(?:(?<=\d)(?:st|nd|rd|th)\b)?"
    r"|(?P<word>[^\W\d_]+(?:[.'-](?=[^\W\d_])[^\W\d_]+)*)"
    r"|(?P<dash>(?<=[^\W\d_])\s+[-\u2013\u2014]\s+(?=\d))|(?P<parting>[,;:=()\[\]&.\s]+|[$€£¥])|(?P<other>.)",
    re.DOTALL,
)
_LETTER_BY_DIGIT = re.compile(r"(?<![A-Za-z])[A-Za-z]\d|\d[A-Za-z](?![A-Za-z])")
_REMAINDER = re.compile(r"\d+\s*[Rr]\s*\d+")
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_DAY_OF_MONTH = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({_MONTH})|(?={_MONTH} ?\d)", re.IGNORECASE)
_YEAR = re.compile(rf"({_MONTH} \d{{1,2}})(?:st|nd|rd|th)?, ?(?=\d{{4}}\b)", re.IGNORECASE)
"""3 May 2020 and May 3, 2020 are written alike before they are compared."""
_IDLE_WORDS = (
    "the a an of is are was were be has have had with in on at to for and or each per got gets needs costs cost"
    " there number total answer about exactly only equals equal quotient respectively that which it he she they we so"
)
IDLE = frozenset(_IDLE_WORDS.split())
"""Words that say nothing of what a number belongs to."""
_SAME = {
    "converges": "convergent",
    "converge": "convergent",
    "diverges": "divergent",
    "diverge": "divergent",
    "increases": "increase",
    "increased": "increase",
    "increasing": "increase",
    "decreases": "decrease",
    "decreased": "decrease",
    "decreasing": "decrease",
    "r": "remainder",
    "rem": "remainder",
    "a.m": "am",
    "p.m": "pm",
    "hrs": "hour",
    "hr": "hour",
    "mins": "minute",
    "min": "minute",
    "feet": "foot",
    "inches": "inch",
    "people": "person",
    "children": "child",
    "men": "man",
    "women": "woman",
    "mice": "mouse",
    "geese": "goose",
    "dollars": "dollar",
} | {
    short: name
    for name, shorts in {
        "january": "jan", "february": "feb", "march": "mar", "april": "apr", "june": "jun", "july": "jul",
        "august": "aug", "september": "sep sept", "october": "oct", "november": "nov", "december": "dec",
        "monday": "mon", "tuesday": "tue tues", "wednesday": "wed", "thursday": "thu thur thurs", "friday": "fri",
        "saturday": "sat", "sunday": "sun",
    }.items()
    for short in shorts.split()
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Group:
    """Numbers that stand together, with the words that belong to them."""

    words: frozenset[str]
    numbers: tuple[Fraction, ...]


@dataclass(frozen=True, slots=True)
class Phrase:
    tokens: tuple[str | Fraction, ...]
    """Words without the idle ones, and numbers by their values, in order."""
    groups: tuple[Group, ...]

    @property
    def numbers(self) -> tuple[Fraction, ...]:
        return tuple(token for token in self.tokens if isinstance(token, Fraction))

    @property
    def words(self) -> frozenset[str]:
        return frozenset(token for token in self.tokens if isinstance(token, str))


@functools.lru_cache(maxsize=512)
def phrase_of(text: str) -> Phrase | None:
    """The phrase that a text is; None if it has no number, no word, or signs that belong to a formula."""
    if len(text) > MAX_CHARS or not any(map(str.isalpha, text)):
        return None
    if _LETTER_BY_DIGIT.search(text) and not _REMAINDER.fullmatch(text):
        return None
    if _DAY_OF_MONTH.search(text):
        text = _YEAR.sub(r"\1 ", _DAY_OF_MONTH.sub(r"\2 \1", text))
    segments: list[list[str | Fraction]] = [[]]
    for match in _TOKEN.finditer(text):
        if match["other"]:
            return None
        if match["clock"]:
            hours, minutes = match["clock"].split(":")
            segments[-1].append(int(hours) + Fraction(int(minutes), 60))
        elif match["number"]:
            value = rational(match["number"].removesuffix("%").replace(",", ""))
            if value is None:
                return None
            segments[-1].append(value)
        elif match["word"]:
            word = word_stem(match["word"])
            if match["word"].casefold() in ("and", "or"):
                segments.append([])
            elif word not in IDLE:
                segments[-1].append(word)
        elif match["parting"] and re.search(r"[,;&]", match["parting"]):
            segments.append([])
    segments = [segment for segment in segments if segment]
    tokens = tuple(token for segment in segments for token in segment)
    if not any(isinstance(token, Fraction) for token in tokens) or not (
        any(isinstance(token, str) and len(token) > 1 for token in tokens)
    ):
        return None
    return Phrase(tokens, tuple(group for segment in segments for group in _groups(segment)))


def words_of(text: str) -> frozenset[str]:
    """The words of a text, in their basic form; none of a long text, or of one without letters."""
    if len(text) > MAX_CHARS or not re.search(r"[^\W\d_]{2}", text):
        return frozenset()
    return frozenset(word_stem(match["word"]) for match in _TOKEN.finditer(text) if match["word"])


def word_stem(word: str) -> str:
    """A word in lower case and in the singular, as far as that can be told from its letters."""
    word = word.casefold().strip(".").removesuffix("'s")
    word = _SAME.get(word, word)
    if len(word) > 3 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _groups(segment: list[str | Fraction]) -> list[Group]:
    """A segment "row 3 column 7" as two groups. A label stands on the side on which the segment begins or ends."""
    if sum(isinstance(token, Fraction) for token in segment) < 2:
        return [_group(segment)]
    label_first = isinstance(segment[0], str) and isinstance(segment[-1], Fraction)
    number_first = isinstance(segment[0], Fraction) and isinstance(segment[-1], str)
    if not label_first and not number_first:
        return [_group(segment)]
    groups: list[list[str | Fraction]] = [[]]
    for token in segment:
        begins = isinstance(token, str) if label_first else isinstance(token, Fraction)
        if begins and groups[-1] and isinstance(groups[-1][-1], str) != isinstance(token, str):
            groups.append([])
        groups[-1].append(token)
    return [_group(group) for group in groups]


def _group(tokens: list[str | Fraction]) -> Group:
    return Group(
        frozenset(token for token in tokens if isinstance(token, str)),
        tuple(token for token in tokens if isinstance(token, Fraction)),
    )


def same_phrase(answer: Phrase, gold: Phrase) -> bool:
    """Whether the same numbers belong to the same labels. Words on one side alone may be missing on the other, but no
    label may be another one.
    """
    if answer.tokens == gold.tokens:
        return True
    if sorted(answer.numbers) != sorted(gold.numbers) or opposites(answer.words, gold.words):
        return False
    if len(gold.numbers) == 1:
        return _compatible(answer.words, gold.words)
    if len(answer.groups) != len(gold.groups) or len(answer.groups) == 1:
        return False  # "3 of 5" is not "5 of 3"
    if Counter(answer.groups) == Counter(gold.groups):
        return True
    labels = [Counter(group.words for group in phrase.groups) for phrase in (answer, gold)]
    if labels[0] == labels[1]:
        return False
    left = list(gold.groups)
    for group in answer.groups:
        partners = [one for one in left if one.numbers == group.numbers and _compatible(one.words, group.words)]
        if len(partners) != 1:
            return False
        left.remove(partners[0])
    return not left


def _compatible(one: frozenset[str], other: frozenset[str]) -> bool:
    return bool(one and other) and (one <= other or other <= one)
