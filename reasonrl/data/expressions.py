"""Chains of integers such as "7 - 2 * 3": their exact value, and a canonical form in which all commuted orders are the
same.

A chain is integers joined by +, - and *, with the usual precedence; a negative integer is written in brackets, "3 +
(-2)". The texts are parsed here and never executed.
"""

from __future__ import annotations

import hashlib
import math
import re

_NUMBER = r"(?:[0-9]+|\(-[0-9]+\))"
_CHAIN = re.compile(rf"\s*{_NUMBER}(?:\s*[-+*]\s*{_NUMBER})*\s*")
_TOKEN = re.compile(rf"{_NUMBER}|[-+*]")


def evaluate(expression: str) -> int:
    """The exact value of a chain such as "3 + 4 * (-2)". Raises ValueError for anything else; nothing is ever
    executed.
    """
    return sum(sign * math.prod(factors) for sign, factors in signed_terms(expression))


def canonical(expression: str) -> str:
    """One text for all orders of the same chain: factors and signed terms sorted, the signs of factors drawn into their
    term.
    """
    terms = []
    for sign, factors in signed_terms(expression):
        sign *= (-1) ** sum(factor < 0 for factor in factors)
        terms.append((sign, sorted(abs(factor) for factor in factors)))
    return " ".join("+-"[sign < 0] + "*".join(map(str, factors)) for sign, factors in sorted(terms))


def side(expression: str, test_share: float = 0.2) -> str:
    """ "train" or "test", by a hash of the canonical form."""
    digest = hashlib.blake2b(canonical(expression).encode(), digest_size=8).digest()
    return "test" if int.from_bytes(digest) < test_share * 2**64 else "train"


def operands(expression: str) -> list[int]:
    """The numbers of a chain in their order."""
    return [factor for _, factors in signed_terms(expression) for factor in factors]


def signed_terms(expression: str) -> list[tuple[int, list[int]]]:
    """A chain as its additive terms, each (sign, factors): "7 - 2 * 3" is [(1, [7]), (-1, [2, 3])]. Raises
    ValueError.
    """
    if not _CHAIN.fullmatch(expression):
        raise ValueError(f"not a chain of integers joined by +, - and *: {expression!r:.80}")
    tokens = _TOKEN.findall(expression)
    terms: list[tuple[int, list[int]]] = []
    for joined_by, token in zip(["+", *tokens[1::2]], tokens[::2], strict=True):
        number = int(token.strip("()"))
        if joined_by == "*":
            terms[-1][1].append(number)
        else:
            terms.append((-1 if joined_by == "-" else 1, [number]))
    return terms
