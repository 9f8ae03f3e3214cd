"""Units by their dimensions, with their sizes and spellings."""

from __future__ import annotations

UNITS: dict[str, dict[str, tuple[str, str]]] = {
    # dimension: {unit: (size, other spellings)}
    "length": {
        "nanometer": ("1/1000000000", "nanometre"),
        "\u00b5m": ("1/1000000", "\u03bcm micrometer micrometre micron"),
        "mm": ("1/1000", "millimeter millimetre"),
        "cm": ("1/100", "centimeter centimetre"),
        "dm": ("1/10", "decimeter decimetre"),
        "m": ("1", "meter metre"),
        "km": ("1000", "kilometer kilometre"),
        "in": ("0.0254", "inch inche"),
        "ft": ("0.3048", "foot feet"),
        "yd": ("0.9144", "yard"),
        "mi": ("1609.344", "mile"),
    },
    "mass": {
        "mg": ("1/1000", "milligram"),
        "g": ("1", "gram gramme"),
        "kg": ("1000", "kilogram kilo"),
        "t": ("1000000", "tonne ton"),
        "oz": ("28.349523125", "ounce"),
        "lb": ("453.59237", "pound"),
    },
    "time": {
        "ms": ("1/1000", "millisecond"),
        "s": ("1", "second sec"),
        "min": ("60", "minute mins"),
        "h": ("3600", "hour hr"),
        "d": ("86400", "day"),
        "wk": ("604800", "week"),
    },
    "months": {"mo": ("1", "month"), "yr": ("12", "year")},
    "volume": {
        "ml": ("1/1000", "milliliter millilitre"),
        "cl": ("1/100", "centiliter centilitre"),
        "l": ("1", "liter litre"),
        "pt": ("0.473176473", "pint"),
        "qt": ("0.946352946", "quart"),
        "gal": ("3.785411784", "gallon"),
    },
    "dollars": {"ct": ("1/100", "cent"), "usd": ("1", "dollar buck")},
    "euros": {"eur": ("1", "euro")},
    "pounds": {"penny": ("1/100", "pence"), "gbp": ("1", "")},
    "yuan": {"cny": ("1", "yuan rmb")},
    "rupees": {"inr": ("1", "rupee")},
    "angle": {"arcmin": ("1/60", ""), "deg": ("1", "degree")},
    "radians": {"rad": ("1", "radian")},
    "temperature": {"k": ("1", "kelvin")},
    "celsius": {"celsius": ("1", "centigrade")},
    "fahrenheit": {"fahrenheit": ("1", "")},
    "resistance": {"ohm": ("1", ""), "kohm": ("1000", "kiloohm")},
    "frequency": {
        "hz": ("1", "hertz"),
        "khz": ("1000", "kilohertz"),
        "mhz": ("1000000", "megahertz"),
        "ghz": ("1000000000", "gigahertz"),
    },
    "force": {"n": ("1", "newton")},
    "energy": {"j": ("1", "joule"), "kj": ("1000", "kilojoule")},
    "power": {"w": ("1", "watt"), "kw": ("1000", "kilowatt")},
    "voltage": {"v": ("1", "volt")},
    "pressure": {"pa": ("1", "pascal"), "kpa": ("1000", "kilopascal"), "hpa": ("100", "hectopascal")},
}
FOREIGN_UNITS = {
    "\u043c\u043c": "mm", "\u0441\u043c": "cm", "\u043c": "m", "\u043a\u043c": "km", "\u043a\u0433": "kg",
    "\u0433": "g", "\u0441": "s", "\u043c\u0438\u043d": "min", "\u0447": "h", "\u043a\u043c/\u0447": "km/h",
    "\u043b": "l", "\u6beb\u7c73": "mm", "\u5398\u7c73": "cm", "\u7c73": "m", "\u5343\u7c73": "km",
    "\u516c\u91cc": "km", "\u514b": "g", "\u5343\u514b": "kg", "\u516c\u65a4": "kg", "\u79d2": "s",
    "\u5206\u949f": "min", "\u5c0f\u65f6": "h", "\u5929": "d", "\u5143": "yuan", "\u5347": "l",
}  # fmt: skip
"""Russian and Chinese."""
