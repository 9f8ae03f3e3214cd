"""What makes two answers unequal whatever the layers say: contradictions, answers that are struck out, units and words
that exclude each other, and what algebra must not be asked, since it would guess.
"""

from __future__ import annotations

import re

from verifiers.math.effort import unevaluated
from verifiers.math.layers.equations import is_false_chain
from verifiers.math.layers.expressions import ascending
from verifiers.math.layers.members import multiset
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
_LIMIT = re.compile(r"\\lim(?:sup|inf)?\s*(?:\\limits\s*)?_\s*\{[^{}]*\}")
_NAMES = re.compile(r"(?<![\\A-Za-z])[A-Za-z]|[^\x00-\x7f]|[$'\"]|\\pounds")
"""A word, a unit or a currency; commands of LaTeX are none."""
_FOR_ALGEBRA = re.compile(r"\\(?:(?:sum|prod|i*nt|lim|operatorname|det|mod|bmod|pmod)(?![A-Za-z])|begin\{[vV]matrix\})")
"""What sympy can evaluate to a number, beside what the layers read."""
_NOT_WRITTEN_OUT = re.compile(r"\\(?:[cldv]?dots|dots[bcmo]|forall|exists)(?![A-Za-z])|\.\.\.|\u2026")
"""sympy would take dots for a symbol, and of "for all x > 0, ..." the first inequality alone."""
_SIGNS = (
    ("\\cdot", "*"),
    ("\\times", "*"),
    ("\\div", ":"),
    ("\u00d7", "*"),
    ("\u00b7", "*"),
    ("\u00f7", ":"),
    ("**", "^"),
)
_OF_NUMBERS = re.compile(r"[\d.,+\-*/:^(){}\[\]]+")
_SCIENTIFIC = re.compile(r"[+-]?[\d.,]+\*10\^[({]?[+-]?\d+[)}]?")
_OPERATION = re.compile(r"(?<=[\d)}\].])[+\-*:^]|[\d)}\].]/.*/|[)}\]]/|/[({\[]|(?<=[)}\]])[(\d]|(?<=\d)\(")
"""Between two operands; a single a/b is a number."""
MAX_CHAIN_TERMS = 8
"""Terms of a chain of inequalities that are looked for in another one."""


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


def calculation(pair: Pair) -> Comparison | None:
    """Before the layers, where the policy says so: an answer that is still to be worked out, against a number."""
    if pair.policy.calculations != "wrong" or not is_plain_number(pair.gold):
        return None
    text = pair.answer.strip("$ ")
    for word, sign in _SIGNS:
        text = text.replace(word, sign)
    text = "".join(text.split())
    if not _OF_NUMBERS.fullmatch(text) or _SCIENTIFIC.fullmatch(text) or not _OPERATION.search(text):
        return None
    return Comparison(False, "calculation", "a calculation instead of its result (policy.calculations)")


def _struck(text: str) -> re.Match[str] | None:
    if "\\lim" in text:  # the arrow of a limit leads nowhere
        text = _LIMIT.sub(" ", text)
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
    if sign := _NOT_WRITTEN_OUT.search(pair.answer) or _NOT_WRITTEN_OUT.search(pair.gold):
        return Comparison(False, "unread", f"{sign.group()} is nothing that algebra can evaluate")
    if _in_another_order(pair):
        return Comparison(False, "inequality", "the same terms in another order")
    for one, other in ((pair.gold, answer), (pair.answer, gold)):
        if is_plain_number(one) and not _FOR_ALGEBRA.search(other):
            return Comparison(False, "unread", "what cannot be read as a number against a number")
    return None


def _in_another_order(pair: Pair) -> bool:
    """Whether both are chains a < b < c of the same terms, which the layers did not find equal: b < a < c."""
    chains = ascending(pair.answer), ascending(pair.gold)
    if not (chains[0] and chains[1]) or not len(chains[0][0]) == len(chains[1][0]) <= MAX_CHAIN_TERMS:
        return False
    if not set(chains[0][1]) == set(chains[1][1]) == {"<"}:
        return False
    comparison = multiset(pair, chains[0][0], chains[1][0])
    return comparison is not None and comparison.equal
