"""Is this answer the reference? Two exact layers in the process itself, and math-verify (sympy) for the rest, in a worker process.

Layers, first that decides: "text" (the same letters once look-alikes and spacing are gone), "decimal" and "rational" (exact numbers, equal
or not), "no number" (plain words where a number is due), "math-verify" (any algebra).

Traps of math-verify 0.9.0 that are dealt with here:
    - Its time-outs are SIGALRM: they fail in every thread but the main one. Both are off (None); the pool's deadline stands in for them.
    - By default it turns every exception into "not equal". `raise_on_error` makes them come out, and they become Status.ERROR.
    - `verify(gold, answer)` is not symmetric: the reference goes first.
    - The reference has to be parsed as the answer is, in dollars: bare LaTeX such as \\frac{1}{2}+x would be read as its last number.
Traps that stay, until a verifier of our own replaces it: of a chain "9 = 1" it takes the last side when the reference is no equation;
9% equals 9; floats count as equal when they agree to 6 decimals; what does not parse is compared as a text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from verifiers.math.normalise import canonical_decimal, plain_text, rational, readable, squeezed

POOL_TARGET = "verifiers.math.compare:equal_by_math_verify"
POOL_INITIALIZER = "verifiers.math.compare:load_math_verify"

_ASSIGNED = re.compile(r"\\?[A-Za-z]+(?:_(?:\w|\{\w+\}))?(?:\(\w\))? ?= ?([^=]+)")
_PLAIN_WORDS = re.compile(r"[A-Za-z ,.;:!?'\"-]*")
_DELIMITED = re.compile(r"\$|\\\(|\\\[|\\boxed|\\fbox")


@dataclass(frozen=True, slots=True)
class Comparison:
    equal: bool
    method: str


def compare_cheaply(answer: str, gold: str) -> Comparison | None:
    """Decides what needs no algebra; None if sympy is needed. Linear in the texts."""
    answer, gold = plain_text(answer), plain_text(gold)
    if squeezed(answer) == squeezed(gold):
        return Comparison(True, "text")
    if "=" not in gold and (assigned := _ASSIGNED.fullmatch(answer)):
        answer = assigned[1].strip()
    first, second = canonical_decimal(answer), canonical_decimal(gold)
    if first is not None and second is not None:
        return Comparison(first == second, "decimal")
    wanted = rational(gold)
    if wanted is None:
        return None
    value = rational(answer)
    if value is not None:
        if value != wanted and _may_be_rounded(answer, wanted, gold, value):
            return None
        return Comparison(value == wanted, "rational")
    if _PLAIN_WORDS.fullmatch(answer):
        return Comparison(False, "no number")
    return None


def _may_be_rounded(answer: str, wanted: Fraction, gold: str, value: Fraction) -> bool:
    """Whether a decimal stands against a fraction that no decimal can equal (0.333333 and 1/3): a matter of tolerance."""
    return ("." in answer and not _terminates(wanted)) or ("." in gold and not _terminates(value))


def _terminates(value: Fraction) -> bool:
    # 2 and 5 divide the denominator at most log2 of it times.
    return 10 ** value.denominator.bit_length() % value.denominator == 0


def load_math_verify() -> None:
    """Runs in a new worker: imports sympy once, and quietens math-verify's warning that its time-outs are off."""
    import logging

    import math_verify

    logging.getLogger(math_verify.__name__).setLevel(logging.ERROR)


def equal_by_math_verify(pair: tuple[str, str]) -> bool:
    """Runs in a worker. `pair` is (answer, gold). Raises whatever math-verify and sympy raise."""
    from math_verify import parse, verify

    answer, gold = (parse(_delimited(text), parsing_timeout=None, raise_on_error=True) for text in pair)
    return bool(verify(gold, answer, timeout_seconds=None, raise_on_error=True))


def _delimited(text: str) -> str:
    text = " ".join(readable(text).split())
    return text if _DELIMITED.search(text) else f"${text}$"
