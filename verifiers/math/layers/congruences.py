"""Congruences: n \\equiv 1 \\pmod 4, 3 (mod 7)."""

from __future__ import annotations

import re

from verifiers.math.layers.pair import Comparison, Pair
from verifiers.math.normalise import squeezed

_MODULUS = re.compile(
    r"\s*\(?\s*(?:\\(?:pmod|bmod|mod)(?![a-z])|(?<![A-Za-z\\])mod(?:ulo)?(?![A-Za-z]))\s*\{?\s*(?P<modulus>\d{1,9})\s*\}?\s*\)?\s*\.?$"
)
_NAME = re.compile(r"\\?[A-Za-z]{1,7}(?:_\{?\w\}?)?")
_EQUIVALENT = re.compile(r"\\equiv(?![a-z])|\u2261|=")


def congruence(pair: Pair) -> Comparison | None:
    """Whether two residues are the same modulo the same number; 3 (mod 7) is 3 where the other side has no modulus.
    None where no side has one, or a side is not a residue that can be read.
    """
    if "mod" not in pair.answer and "mod" not in pair.gold:
        return None
    sides = [_MODULUS.search(text) for text in (pair.answer, pair.gold)]
    if sides[0] is None and sides[1] is None:
        return None
    parts = [
        _EQUIVALENT.split(text[: match.start()] if match else text)
        for text, match in zip((pair.answer, pair.gold), sides, strict=True)
    ]
    if sides[0] and sides[1]:
        if sides[0]["modulus"] != sides[1]["modulus"]:
            return Comparison(False, "congruence", "another modulus")
        if len(parts[0]) == len(parts[1]) == 2 and squeezed(parts[0][0].strip()) != squeezed(parts[1][0].strip()):
            if all(_NAME.fullmatch(part[0].strip()) for part in parts):
                return Comparison(False, "congruence", "another name")
            return None
        residues = [_integer(part[-1]) for part in parts]
        if residues[0] is None or residues[1] is None:
            return pair.inner(parts[0][-1], parts[1][-1])
        return Comparison((residues[0] - residues[1]) % int(sides[0]["modulus"]) == 0, "congruence")
    if max(map(len, parts)) > 1:
        return Comparison(False, "congruence", "a congruence against what has no modulus")
    if not pair.policy.missing_units:
        return None
    return pair.inner(parts[0][0], parts[1][0])


def _integer(text: str) -> int | None:
    match = re.fullmatch(r"\s*([+-]?\s*\d{1,18})\s*", text)
    return int(match[1].replace(" ", "")) if match else None
