"""Quantities with units: "3 hours 20 minutes" is 200 minutes, and 5 cm is not 5 m."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from verifiers.math.normalise import rational
from verifiers.math.unit_table import FOREIGN_UNITS, UNITS

_SHORT = {
    spelling: unit
    for units in UNITS.values()
    for unit, (_, names) in units.items()
    for spelling in (unit, *names.split())
}
_DIMENSION = {
    unit: (dimension, Fraction(size)) for dimension, units in UNITS.items() for unit, (size, _) in units.items()
}

_MARKED = r"\\(?:text|mathrm|mbox|textrm|textnormal|rm|operatorname)\s*\{\s*([A-Za-z. ]+?)\s*\}"
_END = re.compile(
    rf"[\d}})]\s*(?:\\[,;:! ]|~|\\quad)*\s*(?:{_MARKED}|((?:square |cubic"
    r" )?[A-Za-z]{2,}))\s*(?:\^\s*\{?\s*(\d)\s*\}?)?\s*[.$]*\s*$"
)
_AMOUNT = re.compile(
    r"\s*(?:(?:,|and|&)\s*)?(?P<number>[+-]?(?:"
    r"(?:\d+(?:\.\d+)?\s*(?:\\times|\\cdot|\*|x)\s*)?10\s*\^\s*(?:\{\s*-?\d{1,2}\s*\}|\d)"
    r"|\d+\s+\d+/\d+|\d+\s*\\frac\s*\{?\d+\}?\s*\{?\d+\}?|\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:/\d+)?|\.\d+"
    r"|\\frac\s*\{\d+\}\s*\{\d+\}))\s*"
    r"(?P<unit>\^\s*\{?\s*\\circ\s*\}?\s*(?:C|F|Celsius|Fahrenheit)\b|degrees? (?:Celsius|Fahrenheit|C|F)\b"
    r"|\u2103|\u2109|\\Omega|\u03a9|\u2126|\u00a2|\\cents?|\u00b5m|\u03bcm|\\mu ?m"
    r"|(?P<above>[A-Za-z]+)\s*(?:\\cdot\s*|\*\s*)?(?P<below>[A-Za-z]+)\s*\^\s*\{?\s*-\s*(?P<inverse>[12])\s*\}?"
    r"|(?:square |cubic |sq\.? |cu\.? )?[A-Za-z]+\.?(?:\s*(?:/|\bper\b|\ban?\b)\s*[A-Za-z]+\.?)?"
    r"|'|\"|''|\^\s*\{?\s*\\circ\s*\}?|\^\{?\\prime\\prime\}?|\^\{?\\prime\}?)"
    r"(?:\s*\^\s*\{?\s*(?P<power>[23])\s*\}?)?(?=[\s,.\d&\\]|$)\s*"
)
_CURRENCIES = tuple(
    (re.compile(pattern, re.IGNORECASE), name)
    for pattern, name in (
        (r"\\\$|\bUSD\b|\bdollars?\b|^\s*(?:US)?\$\s*\d[^$]*$", "dollars"),
        (r"\u20ac|\bEUR\b|\beuros?\b", "euros"),
        (r"\u00a3|\\pounds\b|\bGBP\b", "pounds"),
        (r"\u00a5|\bRMB\b|\bCNY\b|\byuan\b|\byen\b|\bJPY\b", "yuan or yen"),
        (r"\u20b9|\brupees?\b|\bINR\b", "rupees"),
        (r"\bcents?\b", "cents"),
    )
)
_RATES = {"mph": "mi/h", "kph": "km/h", "kmh": "km/h", "kmph": "km/h"}
_TEMPERATURE = re.compile(r"(?:circ|degrees?)\W*([CF])|([\u2103\u2109])")
_SIGNS = {
    "\\Omega": "ohm",
    "\u03a9": "ohm",
    "\u2126": "ohm",
    "\u00a2": "ct",
    "\\cent": "ct",
    "\\cents": "ct",
    "\\mum": "\u00b5m",
    "\\mu m": "\u00b5m",
} | {"'": "ft", '"': "in", "''": "in"}


_FOREIGN = re.compile(r"(?<=[\d ])(?:" + "|".join(sorted(FOREIGN_UNITS, key=len, reverse=True)) + r")(?!\w)")
_POWER_OF_TEN = re.compile(r"([+-]?\d+(?:\.\d+)?)?\D*?10\s*\^\s*(?:\{\s*(-?\d{1,2})\s*\}|(\d))")


@dataclass(frozen=True, slots=True)
class Amount:
    """A value in the basic unit of its dimension; `units` as they are written, from the first."""

    value: Fraction
    dimension: str
    units: tuple[str, ...]

    def in_last_unit(self) -> Fraction:
        """The value in the unit that is written last: 200 for 3 hours 20 minutes."""
        return self.value / _measure(self.units[-1])[1]

    def in_main_unit(self) -> Fraction | None:
        """An amount of money in the unit that amounts are written in: 0.75 for 75 cents. None for other quantities."""
        return self.value if self.dimension in ("dollars", "euros", "pounds") else None


def unit_of(text: str) -> str | None:
    """The unit that an answer ends with, in one spelling ("cm^2"); None if it has none that is known."""
    match = _END.search(text[-80:])
    return None if match is None else _canonical(match[1] or match[2], match[3])


def amount_of(text: str) -> Amount | None:
    """The quantity that a text is: a number with a known unit, or several different units of one dimension, as in
    "5 feet 7 inches". None if it is none. Linear in the text.
    """
    if len(text) > 200:
        return None
    text = text.strip()
    if not text.isascii():
        text = _FOREIGN.sub(lambda word: FOREIGN_UNITS[word.group()], text)
    parts: list[tuple[Fraction, str]] = []
    place = 0
    while place < len(text) and len(parts) < 5:
        match = _AMOUNT.match(text, place)
        if match is None:
            return None
        value = _number(match["number"])
        written, power = match["unit"], match["power"]
        if match["inverse"]:  # m s^{-2}
            written, power = f"{match['above']}/{match['below']}", match["inverse"]
        unit = _unit_after(written, power, parts)
        if value is None or unit is None:
            return None
        parts.append((value, unit))
        place = match.end()
    if not parts or place < len(text.rstrip(". ")):
        return None
    return _sum(parts)


def _sum(parts: list[tuple[Fraction, str]]) -> Amount | None:
    total = Fraction(0)
    dimensions, sizes = set(), []
    for value, unit in parts:
        dimension, size = _measure(unit)
        dimensions.add(dimension)
        sizes.append(size)
        total += abs(value) * size
    if len(dimensions) > 1 or len(set(sizes)) < len(sizes):
        return None
    sign = -1 if parts[0][0] < 0 else 1
    return Amount(sign * total, dimensions.pop(), tuple(unit for _, unit in parts))


def _measure(unit: str) -> tuple[str, Fraction]:
    """Dimension and size of cm^2 or km/h."""
    above, _, below = unit.partition("/")
    name, _, power = above.partition("^")
    dimension, size = _DIMENSION[name]
    dimension, size = (f"{dimension}^{power}", size ** int(power)) if power else (dimension, size)
    if not below:
        return dimension, size
    divisor, _, inverse = below.partition("^")
    under, part = _DIMENSION[divisor]
    return f"{dimension}/{under}^{inverse or 1}", size / part ** int(inverse or 1)


def _unit_after(written: str, power: str | None, before: list[tuple[Fraction, str]]) -> str | None:
    """The unit with what stands before it: m is a minute after an hour, and ' after a degree."""
    if scale := _TEMPERATURE.search(written):
        return "celsius" if scale[1] in "Cc\u2103" else "fahrenheit"
    if written.startswith("^") or written in _SIGNS:
        if "circ" in written:
            return "deg"
        if before and before[-1][1] in ("deg", "arcmin"):
            return "arcmin" if before[-1][1] == "deg" else None
        return _SIGNS.get(written)
    if written in ("m", "min") and before and before[-1][1] in ("h", "d"):
        return "min"
    if written.lower().startswith("min") and before and before[-1][1] == "deg":
        return "arcmin"
    return _canonical(written, power)


def _number(text: str) -> Fraction | None:
    if scaled := _POWER_OF_TEN.fullmatch(text):
        return Fraction(scaled[1] or "1") * Fraction(10) ** int(scaled[2] or scaled[3])
    text = re.sub(r"\s*\\frac\s*\{?(\d+?)\}?\s*\{?(\d+)\}?", r" \1/\2", text).strip()
    if mixed := re.fullmatch(r"([+-]?)(\d+)\s+(\d+)/(\d+)", text):
        if int(mixed[4]) == 0:
            return None
        value = int(mixed[2]) + Fraction(int(mixed[3]), int(mixed[4]))
        return -value if mixed[1] == "-" else value
    return rational(text)


def _canonical(written: str, power: str | None) -> str | None:
    if written.lower().strip(" .") in _RATES:
        return _RATES[written.lower().strip(" .")]
    if rate := re.fullmatch(r"(.+?)\s*(?:/|\bper\b|\ban?\b)\s*(\S+)", written):
        above, below = _canonical(rate[1], None), _canonical(rate[2], None)
        if not above or not below or "/" in above + below or "^" in below:
            return None
        return f"{above}/{below}" if power in (None, "1") else f"{above}/{below}^{power}"
    words = written.lower().strip(" .").split()
    exponent = power or "1"
    if words and words[0].rstrip(".") in ("square", "sq", "cubic", "cu"):
        exponent = "2" if words[0].startswith("sq") else "3"
        words = words[1:]
    if len(words) != 1:
        return None
    name = words[0].rstrip(".")
    short = _SHORT.get(name) or _SHORT.get(name.removesuffix("s"))
    return None if short is None else short if exponent == "1" else f"{short}^{exponent}"


def is_unit(word: str) -> bool:
    """Whether a word is the name or the sign of a unit that is known here."""
    return _canonical(word, None) is not None


def conflict(answer: str, gold: str) -> str:
    """Says which two units or currencies differ; empty if they do not, or if one side has none."""
    for one, other in ((unit_of(answer), unit_of(gold)), (currency_of(answer), currency_of(gold))):
        if one and other and one != other:
            return f"{one} is not {other}"
    return ""


def currency_of(text: str) -> str | None:
    """The currency of an amount of money, by its sign, code or name; None without one, or with several."""
    if len(text) > 200:
        return None
    currencies = {name for pattern, name in _CURRENCIES if pattern.search(text)}
    return currencies.pop() if len(currencies) == 1 else None
