"""The layer of numerals that are more than a number: digits with a base, residues, and times of day."""

from __future__ import annotations

import re

from verifiers.math.layers.congruences import congruence
from verifiers.math.layers.pair import Comparison, Pair
from verifiers.math.normalise import canonical_decimal

_BASE = re.compile(
    r"\(?\s*([0-9A-Fa-f]+(?:\.[0-9A-Fa-f]+)?)\s*\)?"
    r"\s*(?:_|\(?(?:in )?base\b)\s*\{?\(?(?:\\text\{)?"
    r"(\d{1,2}|two|three|four|five|six|seven|eight|nine|ten|sixteen)\)?\}?\}?\)?"
)
_PREFIXED = re.compile(r"0([xXbBoO])([0-9A-Fa-f]+)")
_PREFIXES = {"x": 16, "b": 2, "o": 8}
_BASE_NAMES = {
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "sixteen": 16,
}
_EARLY = re.compile(r"\d{1,2}:0\d")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s*([AaPp])?\.?\s*(?:[Mm]\.?)?")


def numeral(pair: Pair) -> Comparison | None:
    """4210_7 is 4210_{7}, and 4210 where a missing base is a missing unit; against a plain number the value counts."""
    if (comparison := congruence(pair)) is not None:
        return comparison
    answer_match, gold_match = (_BASE.fullmatch(_based(text)) for text in (pair.answer, pair.gold))
    if answer_match and gold_match:
        return Comparison(
            _digits(answer_match) == _digits(gold_match) and _base(answer_match) == _base(gold_match), "base"
        )
    if answer_match and canonical_decimal(pair.gold) is not None:
        try:
            return Comparison(str(int(answer_match[1], _base(answer_match))) == canonical_decimal(pair.gold), "base")
        except ValueError:
            return Comparison(False, "base", "no such digits in this base")
    if gold_match and canonical_decimal(pair.answer) is not None and pair.policy.missing_base:
        return Comparison(pair.answer.lstrip("0") == _digits(gold_match), "base", "digits without their base")
    for text, other in ((pair.answer, pair.gold), (pair.gold, pair.answer)):
        if ":" in text and _EARLY.fullmatch(text) and ":" in other and _CLOCK.fullmatch(other) is None:
            return Comparison(False, "time of day", "a time is not a ratio")
    clocks = _CLOCK.fullmatch(pair.answer), _CLOCK.fullmatch(pair.gold)
    if clocks[0] and clocks[1] and int(clocks[0][2]) < 60 and int(clocks[1][2]) < 60:
        return Comparison(_time(clocks[0]) == _time(clocks[1]), "time of day")
    return None


def _based(text: str) -> str:
    """0x2A as 2A_16."""
    prefixed = _PREFIXED.fullmatch(text) if text[:1] == "0" else None
    return f"{prefixed[2]}_{_PREFIXES[prefixed[1].lower()]}" if prefixed else text


def _digits(match: re.Match[str]) -> str:
    return match[1].lower().lstrip("0")


def _base(match: re.Match[str]) -> int:
    return _BASE_NAMES[match[2]] if match[2] in _BASE_NAMES else int(match[2])


def _time(match: re.Match[str]) -> tuple[int, int, int]:
    afternoon = match[4] is not None and match[4].lower() == "p" and int(match[1]) < 12
    return int(match[1]) + 12 * afternoon, int(match[2]), int(match[3] or 0)
