"""Plain words by what they say: "It is on a Friday" is Friday, "isosceles triangle" isosceles, "Vasya wins" Vasya."""

from __future__ import annotations

import re

from verifiers.math.layers.pair import Comparison, Pair
from verifiers.math.layers.phrases import word_stem

BOUNDED = re.compile(
    r"\b(?:or|but|if|unless|except|maybe|perhaps|possibly|could|might|either|more than|less than|fewer than"
    r"|at least|at most|up to|between|greater than|smaller than|larger than|almost|nearly)\b",
    re.IGNORECASE,
)
DENIALS = frozenset(
    {
        "no",
        "not",
        "never",
        "none",
        "neither",
        "nor",
        "cannot",
        "can't",
        "isn't",
        "doesn't",
        "won't",
        "without",
        "nothing",
        "wrong",
        "incorrect",
        "false",
    }
)
_STATEMENT = re.compile(
    r"(?:(?:[Ii]t|[Tt]his|[Tt]hat|[Tt]he(?: [A-Za-z']+){1,5}?) (?:is|are|was|will be|must be)"
    r"(?: called| on| an?| the)*|on) (?P<rest>[A-Za-z' -]+?)\.?"
)
_WORD_SEPARATORS = re.compile(r",\s*(?:and\b|or\b)?|\band\b|\bor\b")
_OTHERS = frozenset(
    {"loser", "other", "opposite", "after", "before", "next", "previous", "last", "yesterday", "tomorrow"}
)
"""Words that turn what a sentence is about into something else: "the day after is Friday"."""
_ORDERED = re.compile(r"\b(?:then|before|after|followed|first|second|third|last|next|beats?|to)\b", re.IGNORECASE)
_WINS = re.compile(r" (?:wins|won|will win|can always win|has (?:a|the) winning strategy)(?: the game)?\.?$")
_GENERAL_NOUNS = (
    "number function triangle quadrilateral polygon sequence serie curve line one equation angle matrix player team"
)
_GENERAL = frozenset(_GENERAL_NOUNS.split())
"""Nouns that a question has told already."""


def content_of(text: str, idle: frozenset[str] = frozenset()) -> list[str]:
    """The stems of plain words, without a general noun behind the one that tells: "isosceles triangle" as isosceles."""
    text = _WINS.sub("", text)
    stems = [stem for word in bare_words(text).split() if (stem := word_stem(word)) not in idle]
    return stems[:-1] if len(stems) > 1 and stems[-1] in _GENERAL and stems[-2] not in _GENERAL else stems


def word_lists(pair: Pair) -> Comparison | None:
    """red and blue, blue and red. None unless both are lists of words without an order."""
    if any(map(_ORDERED.search, (pair.gold, pair.answer))) or (" or " in pair.gold) != (" or " in pair.answer):
        return None
    lists = [[content_of(part) for part in _WORD_SEPARATORS.split(text)] for text in (pair.answer, pair.gold)]
    if (
        min(map(len, lists)) < 2
        or not all(all(listed) for listed in lists)
        or max(len(p) for ls in lists for p in ls) > 3
    ):
        return None
    return Comparison(sorted(lists[0]) == sorted(lists[1]), "list of words")


def says(text: str) -> list[str]:
    """What a sentence without a denial or a second choice says that it is: Friday in "It is on a Friday"."""
    if BOUNDED.search(text) or (DENIALS | _OTHERS) & set(bare_words(text).split()) or "," in text:
        return []
    statement = _STATEMENT.fullmatch(text)
    return content_of(statement["rest"]) if statement else []


def bare_words(text: str) -> str:
    """The words in lower case, without articles and punctuation."""
    words = re.findall(r"[a-z']+", text.casefold())
    return " ".join(word for word in words if word not in ("the", "a", "an"))
