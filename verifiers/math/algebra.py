"""The last layer: sympy, through math-verify, in a worker process. For what `compare` cannot read: sums, integrals,
limits, logic.

Traps of math-verify 0.9.0 that are dealt with here:
    - Its time-outs are SIGALRM: they fail in every thread but the main one. Both are off (None); the pool's deadline
        stands in for them.
    - By default it turns every exception into "not equal". `raise_on_error` makes them come out, and they become
        Status.ERROR.
    - `verify(gold, answer)` is not symmetric: the reference goes first.
    - The reference has to be parsed as the answer is, in dollars: bare LaTeX such as \\frac{1}{2}+x would be read as
        its last number.
"""

from __future__ import annotations

import re
import sys

from verifiers.math.layers.pair import Comparison
from verifiers.math.normalise import readable
from verifiers.math.wording import plain_markdown, without_tail

POOL_TARGET = "verifiers.math.algebra:decide"
POOL_INITIALIZER = "verifiers.math.algebra:load_math_verify"
MAX_CHARS, MAX_DIGITS, MAX_DEPTH, MAX_POWERS = 3000, 400, 30, 3
DEEP = 1000
"""Nested brackets that are read here; in the caller's process it is `expression.MAX_DEPTH`."""

_DELIMITED = re.compile(r"\$|\\\(|\\\[|\\boxed|\\fbox")
_CODE = re.compile(r"__|\bimport\b|\blambda\b|\.\w+\(|\bfor\b.+\bin\b|\[\s*\w+\s+for\b")


def load_math_verify() -> None:
    """Runs in a new worker: imports sympy once, and quietens math-verify's warning that its time-outs are off."""
    import logging

    import math_verify

    logging.getLogger(math_verify.__name__).setLevel(logging.ERROR)
    sys.setrecursionlimit(20_000)


def too_much(text: str) -> str:
    """Why sympy is not to see a text; empty if it may. Bounds what it would build before it is asked."""
    if len(text) > MAX_CHARS:
        return f"{len(text)} characters"
    longest = max((len(digits) for digits in re.findall(r"\d+", text)), default=0)
    if longest > MAX_DIGITS:
        return f"a number of {longest} digits"
    depth = deepest = 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        return f"{deepest} nested brackets"
    if len(re.findall(r"\^|\*\*", text)) > MAX_POWERS and re.search(r"(?:(?:\^|\*\*)\s*\{?\s*\d+\s*){3}", text):
        return "a tower of powers"
    if _CODE.search(text):
        return "program code"
    return ""


def decide(pair: tuple[str, str]) -> tuple[bool, str]:
    """Runs in a worker. `pair` is (answer, gold). Returns equal and the method. Raises whatever math-verify and sympy
    raise.
    """
    from verifiers.math.expression import Unreadable, read_expression
    from verifiers.math.layers.preparation import prepared
    from verifiers.math.numeric import same_value

    try:
        equality = same_value(*(read_expression(prepared(text), max_chars=20_000, max_depth=DEEP) for text in pair))
        if equality.equal is not None:
            return equality.equal, equality.method
    except Unreadable:
        pass
    for text, whose in zip(pair, ("the answer", "the reference"), strict=True):
        if why := too_much(text):
            if whose == "the reference":
                raise ValueError(f"{whose} cannot be compared: {why}")
            return False, f"refused: {why}"
    return equal_by_math_verify(pair), "math-verify"


def equal_by_math_verify(pair: tuple[str, str]) -> bool:
    """Runs in a worker. `pair` is (answer, gold). Raises whatever math-verify and sympy raise."""
    from math_verify import parse, verify

    answer, gold = (parse(_delimited(text), parsing_timeout=None, raise_on_error=True) for text in pair)
    return bool(verify(gold, answer, timeout_seconds=None, raise_on_error=True))


def concluded(value: object) -> Comparison:
    """What the pool brought back."""
    assert isinstance(value, list)
    return Comparison(value[0] is True, str(value[1]))


def _delimited(text: str) -> str:
    text = " ".join(readable(plain_markdown(without_tail(text))).split())
    return text if _DELIMITED.search(text) else f"${text}$"
