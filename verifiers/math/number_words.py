"""Numbers in English words: twenty-one, two thirds, 2.5 million."""

from __future__ import annotations

import re
from fractions import Fraction

from verifiers.math.normalise import rational

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
SMALL = {word: value for value, word in enumerate(_ONES.split())} | {
    word: 10 * place for place, word in enumerate(_TENS.split(), start=2)
}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {
    "half": 2,
    "halve": 2,
    "third": 3,
    "quarter": 4,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "seventh": 7,
    "eighth": 8,
} | {"ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12, "hundredth": 100, "thousandth": 1000}
_TIMES = {"once": 1, "twice": 2, "thrice": 3}
_SCALED = re.compile(r"([+-]?[\d.,]*\d)\s*(thousand|million|billion|trillion)\b", re.IGNORECASE)
_WORDS = re.compile(r"[A-Za-z]+(?:[ -][A-Za-z]+){0,12}")


def scaled_out(text: str) -> str:
    """2.5 million dollars as 2500000 dollars."""

    def written(match: re.Match[str]) -> str:
        value = rational(match[1].replace(",", ""))
        return match.group() if value is None else str(value * _SCALES[match[2].lower()])

    return _SCALED.sub(written, text, count=1) if "illion" in text or "thousand" in text else text


def number_in_words(text: str) -> Fraction | None:
    """The number that a text of words is; None if it is none."""
    if _WORDS.fullmatch(text) is None:
        return None
    words = [word for word in re.split(r"[ -]", text.casefold()) if word != "and"]
    if len(words) == 2 and words[1] in ("times", "time"):  # three times
        words = words[:1]
    if len(words) == 1 and words[0] in _TIMES:
        return Fraction(_TIMES[words[0]])
    if len(words) > 1 and words[0] in ("minus", "negative"):
        value = number_in_words(" ".join(words[1:]))
        return None if value is None else -value
    if len(words) > 1 and (part := _PARTS.get(words[-1].removesuffix("s"))):
        above = 1 if words[:-1] in (["a"], ["an"]) else _whole(words[:-1])
        return None if above is None else Fraction(above, part)
    whole = _whole(words)
    return None if whole is None else Fraction(whole)


def _whole(words: list[str]) -> int | None:
    """one hundred twenty three thousand four as 123004."""
    if words[:1] in (["a"], ["an"]) and len(words) > 1 and (words[1] in _SCALES or words[1] == "hundred"):
        words = ["one", *words[1:]]
    total = current = 0
    if not words:
        return None
    for place, word in enumerate(words):
        if word in SMALL:
            if place and (words[place - 1] in SMALL) and not (SMALL[words[place - 1]] >= 20 and SMALL[word] < 10):
                return None  # "two three" are two numbers
            current += SMALL[word]
        elif word == "hundred" and 0 < current < 100:
            current *= 100
        elif word == "dozen" and current:
            current *= 12
        elif word in _SCALES and current:
            total, current = total + current * _SCALES[word], 0
        else:
            return None
    return total + current
