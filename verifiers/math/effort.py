"""How much work a final answer leaves to whoever reads it, by its size and not by the clock.

A sum of 10^12 terms, an integral or a limit may be equal to the reference, but it is a question, not an answer: sympy
would take seconds for it, or never end.
"""

from __future__ import annotations

import re

from verifiers.math.exact import TooLarge, Undefined, Unfit, exact
from verifiers.math.expression import Unreadable, read_expression

MAX_TERMS = 100
"""Terms of sums and factors of products that an answer may leave unevaluated; those of nested ones multiply."""
_OPERATOR = re.compile(
    r"\\(sum|prod|bigcup|bigcap|i{0,3}nt|oint|lim(?:sup|inf)?)(?![a-z])"
    r"|(?<![A-Za-z])(sum|integral|limit|product)(?=\s*[(_])",
    re.IGNORECASE,
)
_TOWER = re.compile(r"(?:(?:\^|\*\*)\s*[{(]?\s*\w+\s*){3}")
_BOUNDS = re.compile(
    r"\\(?:sum|prod)\s*(?:\\limits)?\s*_\s*\{\s*\w+\s*=\s*(?P<low>[^{}]*(?:\{[^{}]*\}[^{}]*)*)\}"
    r"\s*\^\s*(?:\{(?P<high>[^{}]*(?:\{[^{}]*\}[^{}]*)*)\}|(?P<digit>\w))"
)


def unevaluated(answer: str, gold: str) -> str:
    """What is left to evaluate in the answer and too much, in words; empty where nothing is. What the reference leaves
    unevaluated itself is no objection. Linear in the texts.
    """
    in_reference = {match[1] or match[2] for match in _OPERATOR.finditer(gold)}
    left = [match[1] or match[2] for match in _OPERATOR.finditer(answer)]
    if _TOWER.search(answer) and not _TOWER.search(gold):
        return "a tower of powers that is not evaluated"
    if not left or set(left) <= in_reference:
        return ""
    if any(name not in ("sum", "prod") for name in left):
        return "an integral or a limit that is not evaluated"
    terms = 1
    bounds = list(_BOUNDS.finditer(answer))
    if len(bounds) < len(left):
        return "a sum or product whose bounds are not numbers"
    for match in bounds:
        count = _terms(match["low"], match["high"] or match["digit"], symbols=bool(re.search(r"[a-zA-Z]", gold)))
        if count is None:
            return "a sum or product whose bounds are not numbers"
        terms *= max(count, 1)
    return f"a sum or product of more than {MAX_TERMS} terms that is not evaluated" if terms > MAX_TERMS else ""


def _terms(low: str, high: str, *, symbols: bool) -> int | None:
    """Terms from `low` to `high`, 1 where they end at a letter and the reference has letters; None without an end."""
    try:
        nodes = read_expression(low), read_expression(high)
        if symbols and any(node.symbols() for node in nodes) and "\\infty" not in high:
            return 1
        return int(exact(nodes[1]) - exact(nodes[0])) + 1
    except TooLarge:
        return MAX_TERMS + 1
    except (Unreadable, Unfit, Undefined):
        return None
