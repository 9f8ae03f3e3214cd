"""Does a critique give the answer away?

A critic that solves the problem and states the answer helps the refiner without having found any mistake.
Helpfulness is therefore reported for critiques that leak and for those that do not.
"""

from __future__ import annotations

import re

from verifiers.math.compare import compare
from verifiers.response import boxes

_FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.])[-+\u2212]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:/\d+)?%?")
MOST_CHARS = 20_000
MOST_EXPRESSIONS = 200


def expressions(text: str) -> list[str]:
    """What is written in a text that could be an answer: boxes, formulas with the right side of their equations,
    numbers. In order, once each.
    """
    text = text[-MOST_CHARS:]
    candidates = list(boxes(text)[0])
    for match in _FORMULA.finditer(text):
        formula = next(group for group in match.groups() if group)
        candidates += [formula, formula.rpartition("=")[2]]
    candidates += [match.group() for match in _NUMBER.finditer(text)]
    return list(dict.fromkeys(piece.strip() for piece in candidates if piece.strip()))[:MOST_EXPRESSIONS]


def leaks(critique: str, gold: str, solution: str) -> bool:
    """Whether the critique states the reference answer, or something equal to it, that the solution does not hold."""
    gold = gold.strip()
    if not gold or not _states(critique, gold):
        return False
    return not _states(solution, gold)


def _states(text: str, gold: str) -> bool:
    if len(gold) > 3 and not gold.isdigit() and re.search(rf"(?<!\w){re.escape(gold)}(?!\w)", text):
        return True
    for piece in expressions(text):
        comparison = compare(piece, gold)
        if comparison is not None and comparison.equal:
            return True
    return False
