"""Units of measurement at the end of an answer: only to tell that two answers speak of different ones."""

from __future__ import annotations

import re

_NAMES = {
    "mm": "millimeter millimetre",
    "cm": "centimeter centimetre",
    "m": "meter metre",
    "km": "kilometer kilometre",
    "in": "inch inche",
    "ft": "foot feet",
    "yd": "yard",
    "mi": "mile",
    "g": "gram",
    "kg": "kilogram",
    "mg": "milligram",
    "t": "ton tonne",
    "lb": "pound",
    "oz": "ounce",
    "s": "second sec",
    "min": "minute",
    "h": "hour hr",
    "d": "day",
    "wk": "week",
    "mo": "month",
    "yr": "year",
    "l": "liter litre",
    "ml": "milliliter millilitre",
    "gal": "gallon",
    "usd": "dollar",
    "ct": "cent",
    "eur": "euro",
    "cny": "yuan rmb",
    "gbp": "penny pence",
    "deg": "degree",
    "rad": "radian",
    "k": "kelvin",
    "n": "newton",
    "j": "joule",
    "w": "watt",
    "v": "volt",
    "pa": "pascal",
    "mph": "",
    "kmh": "kph",
}
_CANONICAL = {name: short for short, names in _NAMES.items() for name in (short, *names.split())}
_MARKED = r"\\(?:text|mathrm|mbox|textrm|textnormal|rm|operatorname)\s*\{\s*([A-Za-z. ]+?)\s*\}"
_END = re.compile(
    rf"[\d}})]\s*(?:\\[,;:! ]|~|\\quad)*\s*(?:{_MARKED}|((?:square |cubic"
    r" )?[A-Za-z]{2,}))\s*(?:\^\s*\{?\s*(\d)\s*\}?)?\s*[.$]*\s*$"
)


def unit_of(text: str) -> str | None:
    """The unit that an answer ends with, in one spelling ("cm^2"); None if it has none that is known."""
    match = _END.search(text[-80:])
    if match is None:
        return None
    words = (match[1] or match[2]).lower().strip(" .").split()
    power = match[3] or "1"
    if words and words[0] in ("square", "sq", "cubic", "cu"):
        power = "2" if words[0].startswith("sq") else "3"
        words = words[1:]
    if len(words) != 1:
        return None
    name = words[0].rstrip(".")
    short = _CANONICAL.get(name) or _CANONICAL.get(name.removesuffix("s"))
    return None if short is None else short if power == "1" else f"{short}^{power}"


def conflict(answer: str, gold: str) -> str:
    """Says which two units differ; empty if they do not, or if one side has none."""
    answer_unit, gold_unit = unit_of(answer), unit_of(gold)
    return f"{answer_unit} is not {gold_unit}" if answer_unit and gold_unit and answer_unit != gold_unit else ""
