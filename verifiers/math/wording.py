"""Takes off what is said behind an answer: "84, which is the total" is 84. What hedges is left where it is, so that a
response with two answers equals neither.
"""

from __future__ import annotations

import re

MAX_CHARS = 2000
_HEDGES = re.compile(
    r"\b(?:or|also|alternatively|maybe|perhaps|could|might|may|possibl[ey]|either|if|unless|except|otherwise|but|although"
    r"|though|however|depending|sometimes|roughly|oder|ou|vielleicht|peut)\b",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"""(?:\s*[,;:]\s*|\s+[-\u2013\u2014]+\s+|\s+|(?<=\$)\s*)
    (?:(?:which|because|since|hence|thus|therefore|so\s+(?:that|we|this|the|it)|after\s+\w+ing|given\s+that)\b.*
      |i\.\s?e\.,?\s.*
      |as\s+(?:the|all|both|there|it|this|that|these|no|only|each|every|an?|required|desired|needed|claimed|expected
        |shown|stated|wanted|asked|given|requested|we|can|per|was|in|computed|found|calculated|above|before)\b.*
      |(?:in\s+(?:total|all|sum)|altogether|overall|combined|respectively|all\s+together|as\s+well)\b
      |(?:for|giving|with)\s+a\s+total\b(?!\s+of\s+\d).*
      |by\s+(?:the|our|using|symmetry|induction|definition)\b.*
      |(?:giving|making|meaning|leaving|yielding)\b[^\d]*
      |(?<!\bdoes\s)(?<!\bis\s)(?<!\bdo\s)(?<!\bcan\s)not\s+\S+(?:\s+\S+)?
      |(?:is|are|was)\s+(?:the|our|my)\s+(?:final\s+)?(?:answer|result|solution|total)\b.*
      )\s*[.!]*\s*$""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
"""What follows the value in "84, which is the total", "84 in total", "12, not 13" and "5 is the final answer"."""
_ASIDE = re.compile(
    r"\s*\(\s*(?:since|because|which|as|i\.e\.|that\s+is|see|by|from|using|exactly|in\s+total)\b"
    r"[^()]*(?:\([^()]*\)[^()]*)*\)\s*[.]?\s*$",
    re.IGNORECASE,
)
"""What follows the value in "157 (since f(2) = 36)"."""
_REMARK = re.compile(r"\s+\((?!mod\b|not?\b|un|im|in|neg|minus)[A-Za-z][A-Za-z' ,.-]{3,60}\)\s*[.]?\s*$")
"""What follows the value in "12 (a dozen)"; but 3 (mod 7) and "possible (impossible)" stay whole."""
_STATES = re.compile(r"\b(?:is|are|equals|be)\s+[$\\(]*[-\d\\]\S*$")
"""A clause that ends with the value is not one that may be dropped: "the chance that..., given that..., is 1"."""
_TWO_LETTERS = re.compile(r"[A-Za-z]{2}|i\.\s?e\.")
_SPACED_WORD = re.compile(r"[\s,;:$](?:[A-Za-z]{2}|i\.\s?e\.)")
"""Where no word begins behind a space or a comma, there is no `_TAIL`."""
_LEAD = re.compile(
    # "therefore $84$"
    r"^(?:therefore|thus|hence|clearly|simply|just|only|indeed|obviously|precisely|exactly)\s+(?=\S)"
    # "about 84", "= 84", "a total of $84$"
    r"|^(?:(?:then|so|now|approximately|approx\.?|about|around|just|only|the|a\s+total\s+of|equals?(?:\s+to)?|is)\s+"
    r"|\s*(?:=|\u2248|\\approx|:)\s*)(?=[-+$\\(]*[\d\\.])"
    # "equal to x"
    r"|^(?:equal\s+to|given\s+by|found\s+to\s+be)\s+(?=\S)",
    re.IGNORECASE,
)
_MARKS = re.compile(r"(?P<mark>`{1,3}|\*{1,3}|_{2,3}|~~)(?P<inside>.+?)(?P=mark)", re.DOTALL)
_MARK_SIGNS = frozenset("`*_~")
_ORDINAL = re.compile(
    r"(?<=\d)\s*(?:\^\s*)?\{?\s*(?:\\(?:text|mathrm|rm|textrm|mbox)\s*)?\{?\s*(?:st|nd|rd|th)\s*\}?\s*\}?(?![A-Za-z])"
)
"""What follows the digits in 12th, 12^{th} and 12^{\\mathrm{th}}."""


def plain_markdown(text: str) -> str:
    """The text without the marks of Markdown around the whole: `58`, **58**."""
    while (bare := text.strip())[:1] in _MARK_SIGNS and (match := _MARKS.fullmatch(bare)):
        text = match["inside"]
    return text


def without_tail(text: str) -> str:
    """The answer without a clause behind it that explains it: "84, which is the total", "157 (since 121 + 36 = 157)",
    "84 in total". A clause that hedges stays.
    """
    if len(text) > MAX_CHARS or not _TWO_LETTERS.search(text):
        return text
    brackets = (_ASIDE, _REMARK) if text.rstrip().removesuffix(".").rstrip().endswith(")") else ()
    for pattern in (*brackets, _TAIL) if _SPACED_WORD.search(text) else brackets:
        for match in pattern.finditer(text):
            before = text[: match.start()].rstrip(" ,;")
            if (
                re.search(r"[\w})\]]|\\\\infty", before)
                and not _STATES.search(match.group())
                and not _HEDGES.search(match.group())
                and before.count("{") == before.count("}")
            ):
                return before
    return text


def without_lead(text: str) -> str:
    """exactly 84, about 84, = 84 and "a total of 84" as 84."""
    lead = _LEAD.match(text)
    return text if lead is None else text[lead.end() :]


def without_ordinal(text: str) -> str:
    """12^{\\mathrm{th}} as 12."""
    return _ORDINAL.sub("", text) if any(ending in text for ending in ("th", "st", "nd", "rd")) else text
