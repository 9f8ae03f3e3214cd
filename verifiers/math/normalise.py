"""Brings an answer into a plain form, and compares plain numbers exactly. No sympy: this is what most rows need, in
microseconds.

Every function is linear in the text. Numbers are compared as digit strings, or as fractions of at most `MAX_DIGITS`
digits, since Python's own reading of a long integer is quadratic and refuses beyond 4300 digits.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

MAX_DIGITS = 1000

_CHARACTERS = str.maketrans(
    {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # full-width forms
    | dict.fromkeys("\u2212\ufe63\u2012", "-")
    | dict.fromkeys("\u00a0\u2007\u2008\u2009\u200a\u202f\u2002\u2003\u2005\u3000", " ")
    | dict.fromkeys("\u200b\u200e\u200f\ufeff\x00", "")
    | {
        "\u03c0": "\\pi ",
        "\u221e": "\\infty ",
        "\u00d7": "\\times ",
        "\u00b7": "\\cdot ",
        "\u00f7": "/",
        "\u00b0": "^\\circ ",
    }
    | {
        "\u2264": "\\le ",
        "\u2265": "\\ge ",
        "\u2260": "\\ne ",
        "\u222a": "\\cup ",
        "\u2236": ":",
        "\uff1a": ":",
        "\u2044": "/",
        "\u2215": "/",
    }
    | {
        "\u00b1": "\\pm ",
        "\u2019": "'",
        "\u2200": "\\forall ",
        "\u2208": "\\in ",
        "\u2229": "\\cap ",
        "\u2248": "\\approx ",
    }
)
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True))
_SUPERSCRIPT_RUN = re.compile("[" + "".join(_SUPERSCRIPTS) + "]+")
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₋", "0123456789-", strict=True))
_SUBSCRIPT_RUN = re.compile("[" + "".join(_SUBSCRIPTS) + "]+")
_ROOT = re.compile("([\u221a\u221b\u221c])\\s*(\\d+(?:\\.\\d+)?|\\([^()]*\\)|[A-Za-z]|)")
_DEGREES = {"\u221a": "", "\u221b": "[3]", "\u221c": "[4]"}
_FRACTIONS = re.compile(r"(\d?)([\u00bc-\u00be\u2150-\u215e])")
_DIGITS_OF_OTHERS = re.compile(r"[^\W0-9A-Za-z_]")
_SPACING = re.compile(r"(?<!\\)\\[!,;: ]|\\q?quad\b|\\displaystyle\b|\\left(?![a-zA-Z])|\\right(?![a-zA-Z])|~")
_BOLD = re.compile(r"\\(?:text|mathrm|mathbf|textbf|mathit|mbox|textrm|textnormal)\s*\{([^{}]*)\}")
_WRAPPED = re.compile(r"\$\$(.*)\$\$|\$([^$]*)\$|\\\((.*)\\\)|\\\[(.*)\\\]", re.DOTALL)
_CHOICE = re.compile(r"\([A-Z]\)")  # (C) is the choice C
_WORDS = re.compile(r"[A-Za-z][a-z]+(?:[ '-](?:[A-Z][a-z]|[a-z])[a-z]*)*")
_IDLE_SPACE = re.compile(r"(?<![A-Za-z0-9]) | (?![A-Za-z0-9])")

_DECIMAL = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?")
_GROUPED = re.compile(r"([+-]?)([1-9]\d{0,2}(?:(?:,\d{3})+|(?: \d{3})+))(\.\d+)?")
_SLASH = re.compile(r"([^/]+)/([^/]+)")
_FRAC = re.compile(r"([+-]?)\\[dt]?frac(?:\{([^{}]+)\}|(\d))(?:\{([^{}]+)\}|(\d))")
_POWER_OF_TEN = re.compile(r"(.+?)(?:[eE]([+-]?\d{1,3})|\s*(?:\\times|\\cdot|\*)\s*10\^(?:\{([+-]?\d{1,3})\}|(\d)))")
_FIRST_SIGNS, _LAST_SIGNS = frozenset("+-.0123456789\\"), frozenset(".0123456789}")
"""What a number begins and ends with."""


def readable(answer: str) -> str:
    """The answer with Unicode look-alikes written as ASCII or LaTeX: what a parser of LaTeX can read."""
    if answer.isascii():
        return answer.replace("\0", "").strip()
    text = answer.translate(_CHARACTERS)
    if text.isascii():
        return text.strip()
    text = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
    text = _ROOT.sub(lambda root: f"\\sqrt{_DEGREES[root[1]]}{{{root[2].strip('()')}}}", text)
    text = _FRACTIONS.sub(_vulgar_fraction, text)
    text = _SUBSCRIPT_RUN.sub(lambda run: "_{" + "".join(_SUBSCRIPTS[sign] for sign in run.group()) + "}", text)
    # Arabic, bold, ...
    text = _DIGITS_OF_OTHERS.sub(lambda sign: str(unicodedata.decimal(sign.group(), sign.group())), text)
    return _SUPERSCRIPT_RUN.sub(
        lambda run: "^{" + "".join(_SUPERSCRIPTS[sign] for sign in run.group()) + "}", text
    ).strip()


def _vulgar_fraction(match: re.Match[str]) -> str:
    """½ is 1/2, and 5½ is 5 1/2."""
    top, bottom = unicodedata.normalize("NFKC", match[2]).split("\u2044")
    return f"{match[1]} {top}/{bottom}" if match[1] else f"{top}/{bottom}"


def unwrapped(text: str) -> str:
    """A formula without the delimiters around it: dollars, \\( \\), \\[ \\]."""
    if wrapped := _WRAPPED.fullmatch(text.strip()):
        inner = next(group for group in wrapped.groups() if group is not None)
        return inner if "$" not in inner and "\\(" not in inner and "\\[" not in inner else text
    return text


def plain_text(answer: str) -> str:
    """The answer without what does not change it: Unicode look-alikes, LaTeX spacing, dollars around it, text wrappers,
    a full stop.
    """
    if answer.isascii() and answer.isalnum():
        return answer
    text = unwrapped(readable(answer)).replace("\\!", "").replace("{,}", ",")
    if "\\" in text:
        text = (
            _SPACING.sub(" ", text)
            .replace("\\%", "%")
            .replace("\\colon", ":")
            .replace("\\dfrac", "\\frac")
            .replace("\\tfrac", "\\frac")
            .replace("\\$", "")
        )
        if "{" in text:
            text = _BOLD.sub(r" \1 ", text)
    text = " ".join(text.replace("~", " ").split())
    if text.startswith("$") and "$" not in text[1:]:
        text = text[1:].lstrip()
    text = text[:-1].rstrip() if text.endswith(".") else text
    return text[1] if _CHOICE.fullmatch(text) else text


def squeezed(text: str) -> str:
    """A plain text for comparing letter by letter. Case stays, since x and X are two variables, but for the first
    letters of words; spaces stay between letters and digits, since "1 1/2" is not "11/2".
    """
    if text[:1].isalpha() and _WORDS.fullmatch(text):
        return text.casefold()
    return _IDLE_SPACE.sub("", text) if " " in text else text


def canonical_decimal(text: str) -> str | None:
    """A signed decimal as one canonical string ("-0012.50" is "-12.5"), of any length; None if it is no decimal."""
    if text.isdigit() and text.isascii():
        return text.lstrip("0") or "0"
    if ("," in text or " " in text) and (grouped := _GROUPED.fullmatch(text)):
        text = grouped[1] + re.sub(r"[^\d]", "", grouped[2]) + (grouped[3] or "")
    match = _DECIMAL.fullmatch(text)
    if match is None or not (match[2] or match[3]) or not text.isascii():
        return None
    whole, part = match[2].lstrip("0") or "0", (match[3] or "").rstrip("0")
    sign = "-" if match[1] == "-" and (whole != "0" or part) else ""
    return sign + whole + ("." + part if part else "")


def rational(text: str) -> Fraction | None:
    """The exact value of an integer, decimal, fraction or power-of-ten number; None for anything else, and beyond
    `MAX_DIGITS`.
    """
    if len(text) > 4 * MAX_DIGITS:
        return None
    text = _one_sign(text)
    if text[:1] not in _FIRST_SIGNS or text[-1:] not in _LAST_SIGNS:
        return None
    if ("10^" in text or "e" in text or "E" in text) and (scaled := _POWER_OF_TEN.fullmatch(text)):
        factor = _decimal_value(scaled[1])
        return None if factor is None else factor * Fraction(10) ** int(scaled[2] or scaled[3] or scaled[4])
    if "\\" in text and (fraction := _FRAC.fullmatch(text)):
        sign, top, bottom = fraction[1], fraction[2] or fraction[3], fraction[4] or fraction[5]
    elif "/" in text and (fraction := _SLASH.fullmatch(text)):
        sign, top, bottom = "", fraction[1], fraction[2]
    else:
        return _decimal_value(text)
    above, below = _decimal_value(top), _decimal_value(bottom)
    if above is None or not below:
        return None
    return -above / below if sign == "-" else above / below


def same_plain(one: str, other: str) -> bool:
    """Whether two answers are the same without any algebra."""
    one, other = plain_text(one), plain_text(other)
    if squeezed(one) == squeezed(other):
        return True
    first, second = canonical_decimal(one), canonical_decimal(other)
    if first is not None and second is not None:
        return first == second
    value = rational(one)
    return value is not None and value == rational(other)


def _one_sign(text: str) -> str:
    text = text.strip()
    return text[0] + text[1:].lstrip() if text[:1] in ("+", "-") else text


def _decimal_value(text: str) -> Fraction | None:
    decimal = canonical_decimal(_one_sign(text))
    if decimal is None or len(decimal) > MAX_DIGITS:
        return None
    return Fraction(decimal)
