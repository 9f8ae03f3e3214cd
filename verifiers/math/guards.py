"""What makes two answers unequal whatever the layers say: contradictions, answers that are struck out, units and words
that exclude each other, and what algebra must not be asked, since it would guess.
"""

from __future__ import annotations

import re

from verifiers.math.effort import unevaluated
from verifiers.math.layers.equations import is_false_chain
from verifiers.math.layers.numbers import is_plain_number
from verifiers.math.layers.pair import Comparison, Pair
from verifiers.math.layers.phrases import opposites, words_of
from verifiers.math.normalise import squeezed
from verifiers.math.units import conflict

UNEVALUATED = "unevaluated"
_STRUCK = re.compile(
    r"\\(?:[bx]?cancel(?:to)?|sout|st|[hv]?phantom|textcolor|color|transparent|tiny|not"
    r"|(?:long)?(?:to|rightarrow|implies|mapsto|Rightarrow))(?![A-Za-z])"
)
_STRUCK_OTHERWISE = re.compile(r"~~|<!--|[\u202a-\u202e\u2066-\u2069]|[\u0300-\u036f\u20d0-\u20f0]")
"""What hides an answer, crosses it out or leads away from it, for a person who sees it."""
_NAMES = re.compile(r"(?<![\\A-Za-z])[A-Za-z]|[^\x00-\x7f]|[$'\"]|\\pounds")
"""A word, a unit or a currency; commands of LaTeX are none."""
_FOR_ALGEBRA = re.compile(r"\\(?:(?:sum|prod|i*nt|lim|operatorname|det|mod|bmod|pmod)(?![A-Za-z])|begin\{[vV]matrix\})")
"""What sympy can evaluate to a number, beside what the layers read."""


def contradiction(answer: str, gold: str, pair: Pair) -> Comparison | None:
    """Before the layers: one side is struck out or contradicts itself. `answer` and `gold` as they are written."""
    struck = [_struck(text) for text in (answer, gold)]
    if (struck[0] is None) != (struck[1] is None):
        return Comparison(False, "text", f"{next(filter(None, struck)).group()!r} hides an answer or strikes it out")
    checked = [pair.answer] if pair.policy.worked_out else [pair.answer, pair.gold]  # a reference is taken as it is
    chains = [text for text in checked if "=" in text]
    if chains and squeezed(pair.answer) != squeezed(pair.gold) and any(is_false_chain(pair, text) for text in chains):
        return Comparison(False, "equation", "a chain of equations whose values differ")
    return None


def _struck(text: str) -> re.Match[str] | None:
    match = _STRUCK.search(text) if "\\" in text else None
    if match is None and (not text.isascii() or "~~" in text or "<!--" in text):
        match = _STRUCK_OTHERWISE.search(text)
    return match


def conflict_of(answer: str, gold: str, pair: Pair, comparison: Comparison) -> Comparison | None:
    """After the layers found both equal: 5 cm and 5 m, a profit and a loss of 5."""
    if comparison.method in ("quantity", "choice") or not (_NAMES.search(answer) and _NAMES.search(gold)):
        return None
    differ = (
        conflict(answer, gold)
        or conflict(pair.answer_words, pair.gold_words)
        or opposites(words_of(pair.answer_words), words_of(pair.gold_words))
    )
    return Comparison(False, "units", differ) if differ else None


def not_for_algebra(answer: str, gold: str, pair: Pair) -> Comparison | None:
    """Where the layers leave a pair open: why sympy is not asked, as "unequal". math-verify takes the last number of
    what it cannot read, so an answer that no layer reads is no number.
    """
    if differ := opposites(words_of(pair.answer_words), words_of(pair.gold_words)):
        return Comparison(False, "words", differ)
    # A reference may be left unevaluated, unless equality is to have no direction.
    if why := unevaluated(answer, gold) or ("" if pair.policy.worked_out else unevaluated(gold, answer)):
        return Comparison(False, UNEVALUATED, why)
    for one, other in ((pair.gold, answer), (pair.answer, gold)):
        if is_plain_number(one) and not _FOR_ALGEBRA.search(other):
            return Comparison(False, "unread", "what cannot be read as a number against a number")
    return None
