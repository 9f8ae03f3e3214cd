"""The layer of numbers: exact decimals and fractions of any length, percent, money, missing units, rounding."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction

from verifiers.math.exact import TooLarge, Undefined, Unfit, exact
from verifiers.math.expression import Unreadable, read_expression
from verifiers.math.layers.assignments import unassigned
from verifiers.math.layers.pair import Comparison, Pair
from verifiers.math.layers.preparation import MAX_CHARS, NO_UNITS
from verifiers.math.normalise import canonical_decimal, rational
from verifiers.math.number_words import scaled_out
from verifiers.math.policy import MathPolicy
from verifiers.math.tokens import is_digits
from verifiers.math.units import is_unit

_WORD_UNIT = re.compile(
    r"(?:(?<=[\d}\)!])\s*|(?:(?<=\\pi)|(?<=\\circ))\s+)((?:[A-Za-z]{2,}\.?(?:\s*\^\s*\{?-?\d\}?)?)(?:(?:\s+|\s*/\s*)[A-Za-z]{1,}(?:\^\{?-?\d\}?)?){0,3})\s*[.]?$"
)
_WORD_AFTER_VALUE = re.compile(r"[\d})!]\s*[A-Za-z]{2}|\\(?:pi|circ)\s+[A-Za-z]{2}")
_DIGIT = re.compile(r"[0-9]")
_NOT_RATIONAL = re.compile(
    r"\\(?:pi|infty|sin|cos|tan|ln|log)(?![A-Za-z])|(?<![A-Za-z\\])[a-df-hj-wyz](?![A-Za-z])|[=<>]"
)
"""What no rational number is written with, so that it need not be read; x may be a times sign."""
_PERCENT = re.compile(r"\s*(?:\\?%|percent|pct|per cent)$")
MONEY = re.compile(
    r"^(?:(?:US|CA|AU|HK|[CA])?\\?\$|[€£¥₹₩₽]|Rs\.?|(?:USD|EUR|GBP|RMB|CNY|INR|JPY|CAD|AUD)\b)\s*(?=[\d.])"
)
LETTER_UNIT = re.compile(r"(?<=[\d}\)])\s+[mgslLhNJWVK]$")
_DEGREES = re.compile(r"\s*(?:\^\s*\{?\s*\\(?:circ|degree)\s*\}?|\\degree|\\circ|°|\s+degrees?|\s+deg)\s*$")
DECIMAL_TEXT = re.compile(r"[+-]?[0-9]*\.[0-9]+")


def number(pair: Pair) -> Comparison | None:
    """Whether two rational numbers are equal, or one is the other rounded as the policy allows; None unless both are
    numbers.
    """
    answer, gold = (unassigned(text, other) for text, other in ((pair.answer, pair.gold), (pair.gold, pair.answer)))
    first, second = canonical_decimal(answer), canonical_decimal(gold)
    if first is not None and second is not None and (first == second or len(answer) + len(gold) > 400):
        return Comparison(first == second, "decimal")
    if len(answer) > MAX_CHARS or len(gold) > MAX_CHARS or (":" in answer and ":" in gold):
        return None
    one = quantity(answer, pair.policy)
    other = quantity(gold, pair.policy) if one is not None else None
    if one is None or other is None:
        return None
    readings = [(one, other)]
    if one.percent != other.percent:
        as_number = (one.times(100), other) if one.percent else (one, other.times(100))
        readings = {"either": [*readings, as_number], "fraction": readings, "number": [as_number]}[pair.policy.percent]
    for answer_quantity, gold_quantity in readings:
        if answer_quantity.value == gold_quantity.value:
            return Comparison(True, "rational", "percent" if one.percent != other.percent else "")
        if rounded_from(answer_quantity, gold_quantity.value, pair.policy) or rounded_from(
            gold_quantity, answer_quantity.value, pair.policy
        ):
            return Comparison(True, "rounding")
    return Comparison(False, "rational")


@dataclass(frozen=True, slots=True)
class Quantity:
    value: Fraction
    percent: bool
    decimal: str | None
    """The number as it is written, if it has a decimal point or is a percentage: whole percents are customary."""
    scale: int = 1
    """What the written number was multiplied with to give `value`, as a divisor: 100 for a percentage."""

    def times(self, factor: int) -> Quantity:
        return replace(self, value=self.value * factor, scale=1)


def quantity(text: str, policy: MathPolicy) -> Quantity | None:
    """The rational number that a text is, money, units and percent signs taken off; None if it is none."""
    text = scaled_out(MONEY.sub("", text.strip()))
    percent = _PERCENT.search(text) if text.endswith(("%", "t")) else None
    if percent:
        text = text[: percent.start()].strip()
    elif policy.missing_units:
        text = without_degrees(without_unit(text))
    value = rational(text)
    if value is None and text[-1:].isalpha() and policy.missing_units:
        text = LETTER_UNIT.sub("", text)
    if value is None:
        if _NOT_RATIONAL.search(text) or not _DIGIT.search(text):
            return None
        try:
            value = exact(read_expression(text))
        except (Unreadable, Unfit, Undefined, TooLarge):
            return None
    decimal = text if DECIMAL_TEXT.fullmatch(text) or (percent and is_digits(text)) else None
    return Quantity(value / 100, True, decimal, 100) if percent else Quantity(value, False, decimal)


def without_degrees(text: str) -> str:
    """45^\\circ and 45 degrees as 45."""
    return _DEGREES.sub("", text) if any(sign in text for sign in ("circ", "deg", "\u00b0")) else text


def without_unit(text: str) -> str:
    """The text without the plain words after its number, unless one of them is a function or a connective."""
    if _WORD_AFTER_VALUE.search(text) and (match := _WORD_UNIT.search(text)):
        words = re.findall(r"[A-Za-z]+", match[1])
        apart = text[match.start(1) - 1].isspace()
        if len(words[0]) < (3 if apart else 4) and not is_unit(words[0]):
            return text  # 14xy^2 is a product
        if not any(word.lower() in NO_UNITS for word in words):
            return text[: match.start()].rstrip()
    return text


def rounded_from(written: Quantity, exact_value: Fraction, policy: MathPolicy) -> bool:
    """Whether a written decimal is cut or rounded from a number that needs more digits than it has."""
    if written.decimal is None or policy.rounding_digits is None:
        return False
    enough = policy.rounding_digits - (written.percent and "." in written.decimal)
    if significant_digits(written.decimal) < enough:
        return False
    last_place = Fraction(1, 10 ** len(written.decimal.partition(".")[2]) * written.scale)
    if (exact_value / last_place).denominator == 1:
        return False
    missing = abs(exact_value) - abs(written.value)
    return exact_value * written.value > 0 and (0 <= missing < last_place or abs(missing) <= last_place / 2)


def significant_digits(decimal: str) -> int:
    """How many digits a decimal has from its first nonzero one."""
    return len(re.sub(r"[^\d]", "", decimal).lstrip("0"))


def is_plain_number(text: str) -> bool:
    """Whether the text is an integer, a decimal, a fraction or a power of ten times one, and nothing else."""
    return rational(text) is not None
