"""The layer of quantities with units: compound ones, money in cents, units of other languages and in brackets."""

from __future__ import annotations

import re

from verifiers.math.layers.numbers import MONEY
from verifiers.math.layers.pair import Comparison, Pair
from verifiers.math.normalise import rational
from verifiers.math.units import Amount, amount_of, currency_of

_LETTERS = re.compile(r"[^\W\d_]|['\"\u00a2\u2103\u2109]")
_NO_LETTERS = frozenset({"celsius", "fahrenheit", "ohm"})
"""Units that are signs of their own or words: no product of letters, and unknown to the layer of numbers."""
_CLOCK = re.compile(r"(\d{1,3}):([0-5]\d)")
_BRACKETED_UNIT = re.compile(r"(?P<number>[^()]*\d[^()]*?)\s*\(\s*(?P<unit>[A-Za-z][A-Za-z /^{}23]*?)\s*\)")
MAX_BRACKETED = 80
_FOREIGN_UNIT = re.compile(
    r"(?P<number>[+-]?\d[\d,]*(?:\.\d+)?(?:/\d+)?)\s*(?P<unit>[^\W\d_\x00-\x7f](?:[^\W\d_\x00-\x7f]|[ /.]){0,14})"
)
"""A number with a word that is not written in ASCII: a unit of another language."""
_SCALE_SIGNS = re.compile("[\u4e07\u4ebf\u5104\u842c\u5343\u767e\u5341\u03c0]|\u0442\u044b\u0441|\u043c\u043b")
"""Ten thousand, a thousand, a million: not units."""


def compound(pair: Pair) -> Comparison | None:
    """Whether two quantities of one dimension are equal: 3 hours 20 minutes and 200 minutes. A compound quantity equals
    a bare number that is its value in the unit it ends with. None unless both are quantities, and where both are
    written in the same single unit.
    """
    answer, gold = pair.answer_words, pair.gold_words
    if not _LETTERS.search(answer + gold):
        return None
    if answer.endswith(")") or gold.endswith(")"):
        opened = _without_brackets(answer), _without_brackets(gold)
        if opened != (answer, gold):
            return pair.inner(*opened)
    if not (answer.isascii() and gold.isascii()) and (comparison := _foreign(pair)):
        return comparison
    amounts = amount_of(answer), amount_of(gold)
    if amounts[0] and amounts[1]:
        return _two_amounts(amounts[0], amounts[1])
    for amount, other in ((amounts[0], gold), (amounts[1], answer)):
        if amount is None:
            continue
        if amount.units == ("h", "min") and (clock := _CLOCK.fullmatch(other)):
            return Comparison(amount.value == 3600 * int(clock[1]) + 60 * int(clock[2]), "quantity")
        if (value := rational(MONEY.sub("", other))) is not None:
            same = pair.policy.missing_units and value in (amount.in_last_unit(), amount.in_main_unit())
            same = same and currency_of(other) in (None, amount.dimension)
            if len(amount.units) == 1:  # letters may be variables, and what else has one unit is for the numbers
                unit = amount.units[0]
                known = same and (unit in _NO_LETTERS or unit[:2] in ("m/", "g/") or value != amount.in_last_unit())
                return Comparison(True, "quantity") if known else None
            return Comparison(same, "quantity", "" if same else "a quantity in several units against a number")
    return None


def _without_brackets(text: str) -> str:
    """12 (km/h) as 12 km/h."""
    match = _BRACKETED_UNIT.fullmatch(text) if text.endswith(")") and len(text) < MAX_BRACKETED else None
    return f"{match['number']} {match['unit']}" if match and amount_of(f"1 {match['unit']}") else text


def _foreign(pair: Pair) -> Comparison | None:
    """A number with a word that is not written in ASCII: a unit that the other side may lack."""
    for text, other in ((pair.answer_words, pair.gold), (pair.gold_words, pair.answer)):
        foreign = None if text.isascii() or not pair.policy.missing_units else _FOREIGN_UNIT.fullmatch(text)
        if foreign is None:
            continue
        if amount_of(text) is None and amount_of(other) is not None:
            return Comparison(False, "units", f"{foreign['unit']} is no unit that is known")
        values = rational(foreign["number"].replace(",", "")), rational(other)
        if None not in values and not _SCALE_SIGNS.search(foreign["unit"]):
            return Comparison(values[0] == values[1], "quantity")
    return None


def _two_amounts(answer: Amount, gold: Amount) -> Comparison | None:
    if answer.dimension != gold.dimension:
        return Comparison(False, "units", f"{answer.units[0]} is not {gold.units[0]}")
    if len(answer.units) == len(gold.units) == 1 and answer.units == gold.units and answer.value != gold.value:
        return None
    return Comparison(answer.value == gold.value, "quantity", "" if answer.value == gold.value else "another quantity")
