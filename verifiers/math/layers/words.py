"""The layers of words: the same text, plain words, choices, "The largest n is 34", and a number against a text."""

from __future__ import annotations

import re

from verifiers.math.layers.numbers import is_plain_number
from verifiers.math.layers.pair import Comparison, Pair
from verifiers.math.layers.preparation import MAX_CHARS, NO_UNITS
from verifiers.math.normalise import rational, squeezed
from verifiers.math.structure import brackets_match

_WORDS = re.compile(r"[A-Za-z][A-Za-z' ,.;:!?-]*[A-Za-z.!?]")
_CHOICE = re.compile(r"(?:option |choice |answer )?\(?([A-J])\)?[.:]?", re.IGNORECASE)
_DESCRIBED_CHOICE = re.compile(r"\(?([A-J])\)?[.:]? [A-Z][a-z]{2,}.*", re.DOTALL)
_PICKED = re.compile(r"(?:\(([A-J])\)|([A-J])[.:)])\s+\S.*", re.DOTALL)
_SPELT = dict(
    zip(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ],
        range(21),
        strict=True,
    )
)
_SENTENCE = re.compile(r"[A-Z][a-z]* [^.!?]*\b(?:is|are|equals|equal to|be)\s+(?P<rest>\S.*?)\.?", re.DOTALL)
_PROSE = re.compile(r"[A-Za-z]{4,} [A-Za-z]{2,}")
_COMMANDS = re.compile(r"\\[A-Za-z]+")
_NUMBERS = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?(?![\w])")
_DENIALS = frozenset(
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
    }
)
_FILLERS = frozenset(
    {"this", "that", "these", "those", "there", "then", "than", "with", "from", "into", "will", "have", "been", "some"}
)


def same_text(pair: Pair) -> Comparison | None:
    """Equal where both are the same text up to spacing and the two names of a relation; else None."""
    if squeezed(pair.answer) == squeezed(pair.gold):
        return Comparison(True, "text")
    if len(pair.answer) + len(pair.gold) <= MAX_CHARS and spelling(pair.answer) == spelling(pair.gold):
        return Comparison(True, "text")
    return None


def spelling(text: str) -> str:
    """Braces around one sign, and the two names of each relation, make no difference."""
    text = re.sub(r"\\(le|ge|ne)(?:q|qslant|slant)(?![A-Za-z])", r"\\\1 ", text)
    return squeezed(" ".join(re.sub(r"\{(\w)\}", r"\1", text).replace("<=", "\\le ").replace(">=", "\\ge ").split()))


def words(pair: Pair) -> Comparison | None:
    """Whether two choices, numbers in words or plain words are the same; None where neither side is of words, or they
    stand against a formula.
    """
    if (described := _DESCRIBED_CHOICE.fullmatch(pair.gold)) and (picked := _CHOICE.fullmatch(pair.answer)):
        return Comparison(picked[1].upper() == described[1], "choice")
    if pair.policy.sentences and re.fullmatch("[A-J]", pair.gold) and (picked := _PICKED.fullmatch(pair.answer)):
        return Comparison((picked[1] or picked[2]) == pair.gold, "choice")
    if choice := _CHOICE.fullmatch(pair.gold):
        picked = _CHOICE.fullmatch(pair.answer)
        if picked and (
            pair.answer[:1] == "(" or pair.gold[:1] == "(" or picked[1] == choice[1] or len(pair.answer) > 1
        ):
            return Comparison(picked[1].upper() == choice[1].upper(), "choice")
    for word, other in ((pair.answer, pair.gold), (pair.gold, pair.answer)):
        if (spelt := _SPELT.get(bare_words(word))) is not None and is_plain_number(other):
            return Comparison(spelt == rational(other), "words", "a number in words")
    if is_words(pair.gold):
        if pair.policy.quoted_words and is_words(pair.answer) and quotes(pair.answer, pair.gold):
            return Comparison(True, "words", "a phrase of the reference")
        if is_words(pair.answer) or is_plain_number(pair.answer):
            return Comparison(bare_words(pair.answer) == bare_words(pair.gold), "words")
        return None
    if is_words(pair.answer) and is_plain_number(pair.gold):
        return Comparison(False, "words", "words where a number is due")
    return None


def quotes(answer: str, gold: str) -> bool:
    """Whether the answer is a name, or a phrase of two words with content, out of a reference that is a sentence and
    denies nothing.
    """
    answer_words, gold_words = bare_words(answer).split(), bare_words(gold).split()
    if len(gold_words) < 4 or len(answer_words) > len(gold_words) or _DENIALS & set(gold_words) or not answer_words:
        return False
    if not any(
        gold_words[i : i + len(answer_words)] == answer_words for i in range(len(gold_words) - len(answer_words) + 1)
    ):
        return False
    is_name = answer[:1].isupper() and len(answer_words) == 1 and len(answer_words[0]) > 3
    return is_name or sum(word not in _FILLERS and len(word) > 3 for word in answer_words) >= 2


def is_words(text: str) -> bool:
    """Whether the text is plain words with at least three letters in a row, and no name of a function."""
    return (
        _WORDS.fullmatch(text) is not None
        and re.search(r"[A-Za-z]{4,}|^[A-Za-z]{3}$", text) is not None
        and text.lower() not in NO_UNITS
    )


def bare_words(text: str) -> str:
    """The words in lower case, without articles and punctuation."""
    words = re.findall(r"[a-z']+", text.casefold())
    return " ".join(word for word in words if word not in ("the", "a", "an"))


def sentence(pair: Pair) -> Comparison | None:
    """Whether the value that a sentence states ("The largest n is 34") is the reference; None if it is no sentence."""
    match = _SENTENCE.fullmatch(pair.answer) if pair.policy.sentences else None
    return pair.inner(match["rest"], pair.gold) if match and not _SENTENCE.fullmatch(pair.gold) else None


def unlike(pair: Pair) -> Comparison | None:
    """Unequal where one side is empty, or a plain number stands against prose or unmatched brackets; decides a sentence
    with one number by that number. None for what is left to algebra.
    """
    if not re.search(r"\w", pair.answer) or not re.search(r"\w", pair.gold):
        return Comparison(False, "unlike", "nothing to read")
    if (
        pair.policy.sentences
        and _PROSE.search(_COMMANDS.sub(" ", pair.answer))
        and is_plain_number(pair.gold)
        and not re.search(r"[=$\\]", pair.answer)
    ):
        numbers = _NUMBERS.findall(pair.answer)
        if len(numbers) == 1:  # Jane started 3 hours ago
            return Comparison(rational(numbers[0].replace(",", "")) == rational(pair.gold), "number in a sentence")
    for text, other in ((pair.answer, pair.gold), (pair.gold, pair.answer)):
        if is_plain_number(text) and (not brackets_match(other) or _PROSE.search(_COMMANDS.sub(" ", other))):
            return Comparison(
                False,
                "unlike",
                "a text where a number is due" if other == pair.answer else "a number where a text is due",
            )
    return None
