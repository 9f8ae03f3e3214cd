"""The layer of equations: x = 5 and 5, chains, approximations, qualifiers, and two equations that say the same."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

from verifiers.math.expression import Unreadable, read_expression
from verifiers.math.layers.assignments import NAME, is_head
from verifiers.math.layers.expressions import is_expression, renamed, verdict
from verifiers.math.layers.numbers import is_plain_number
from verifiers.math.layers.pair import Comparison, Pair
from verifiers.math.normalise import squeezed
from verifiers.math.numeric import mentions, real_value, same_equation, same_value
from verifiers.math.structure import approximate_sides, sides
from verifiers.math.tree import Node
from verifiers.math.vocabulary import FUNCTIONS

MAX_SIDES = 6
"""Sides of a chain of approximations."""
UNKNOWN = frozenset({"apply"})
MAX_CHAIN = 2000
_LETTER = re.compile(r"[A-Za-z]")
_FUNCTION_HEAD = re.compile(rf"({NAME})\s*\(\s*({NAME})\s*\)")
_QUALIFIER = re.compile(
    r"\s*(?:,\s*)?(?:\\text\s*\{\s*)?\b(?:for (?:all|any|every|each|some)|where|with|such that|as)\b.*$",
    re.DOTALL | re.IGNORECASE,
)
_WHAT = re.compile(
    r"^(?:the )?(?:straight )?(?:line|circle|curve|plane|parabola|ellipse|function|equation|graph of)(?: is)? (?=.*=)",
    re.IGNORECASE,
)
_BOUND = re.compile(r"\bfor (?:all|any|every|each|some)\s+(?:\w+\s+){0,3}?\$?([a-z])\b", re.IGNORECASE)


def equation(pair: Pair) -> Comparison | None:
    """Whether both are the same equation, or one is the other's value (x = 5 and 5); None where neither has two sides,
    or the sides cannot be read.
    """
    if any(_WHAT.match(text) for text in (pair.answer, pair.gold)):
        return pair.inner(_WHAT.sub("", pair.answer), _WHAT.sub("", pair.gold))
    bound = [match[1] for text in (pair.answer, pair.gold) if (match := _BOUND.search(text))]
    answer, gold = (_QUALIFIER.sub("", text) or text for text in (pair.answer, pair.gold))
    # "for some integer t" says that any letter would do
    if len(bound) == 1 and (answer, gold) != (
        pair.answer,
        pair.gold,
    ):
        comparison = rebound(pair, answer, gold, bound[0], in_answer=_BOUND.search(pair.answer) is not None)
        if comparison is not None and comparison.equal:
            return comparison
    if (answer, gold) != (pair.answer, pair.gold):
        comparison = pair.inner(answer, gold)
        if comparison is not None:
            return comparison
    for text, other, swap in ((answer, gold, False), (gold, answer, True)):
        near = [side for side in approximate_sides(text) if side and not is_head(side)]
        if near and (len(near) > 1 or len(approximate_sides(text)) > 1):
            if len(near) > MAX_SIDES or not _agree(near):
                return Comparison(False, "equation", "the sides of the approximation are far apart")
            for side in near:  # a = b and its decimals: either may be what is wanted
                comparison = pair.inner(other, side) if swap else pair.inner(side, other)
                if comparison is not None and comparison.equal:
                    return replace(comparison, reason="one side of the approximation")
            return comparison
    answer_sides, gold_sides = sides(answer), sides(gold)
    if len(answer_sides) == 1 and len(gold_sides) == 1:
        return None
    if len(answer_sides) > 2 and len(gold_sides) <= 2:  # x = 5 + 5 + 1 = 11
        return pair.inner(f"{answer_sides[0]} = {answer_sides[-1]}" if len(gold_sides) == 2 else answer_sides[-1], gold)
    if len(gold_sides) > 2 and len(answer_sides) <= 2:
        return pair.inner(answer, f"{gold_sides[0]} = {gold_sides[-1]}" if len(answer_sides) == 2 else gold_sides[-1])
    if (len(answer_sides) == 2 and len(gold_sides) == 1) or (len(answer_sides) == 1 and len(gold_sides) == 2):
        # log_2 8 = 3, worked out before our eyes
        if len(answer_sides) == 2 and pair.policy.worked_out and pair.policy.assignments:
            return pair.inner(answer_sides[1], gold)
        long, short = (answer_sides, gold) if len(answer_sides) == 2 else (gold_sides, answer)
        if not pair.policy.assignments or not is_head(long[0]):
            return Comparison(False, "equation", "an equation against an expression") if is_expression(short) else None
        return pair.inner(long[1], gold) if long is answer_sides else pair.inner(answer, long[1])
    if len(answer_sides) == len(gold_sides) == 2:
        for named, worked_out in ((answer_sides, gold_sides), (gold_sides, answer_sides)):
            if is_head(named[0]) and not _LETTER.search(worked_out[0]):  # x = 11 and 5 + 6 = 11
                return pair.inner(answer_sides[1], gold_sides[1])
        return two_equations(pair, answer_sides, gold_sides)
    return None


def is_false_chain(pair: Pair, text: str) -> bool:
    """Whether a text is a chain of equations whose constants differ: 7 = 161 states two values."""
    if "=" not in text or len(text) > MAX_CHAIN:
        return False
    constants = []
    for place, side in enumerate(sides(text)):
        if place == 0 and side == "e":  # an eccentricity
            continue
        try:
            node = read_expression(side)
        except Unreadable:
            continue
        if not node.symbols() and not mentions(node, UNKNOWN):
            constants.append(side)
    return any(
        (comparison := pair.inner(one, other)) is not None and not comparison.equal
        for one, other in itertools.pairwise(constants)
    )


def _agree(near: list[str]) -> bool:
    """Whether values that are said to be about equal are within 5%: "1, about 2, about 3" names many answers."""
    values = []
    for side in near:
        try:
            values.append(real_value(read_expression(sides(side)[-1])))  # P = 7/12, of which the right side
        except Unreadable:
            values.append(None)
    known = [value for value in values if value is not None]
    return (
        len(near) == 1
        or (len(known) == len(near) and max(known) - min(known) <= 0.05 * max(map(abs, known)))
        or not known
    )


def rebound(pair: Pair, answer: str, gold: str, letter: str, *, in_answer: bool) -> Comparison | None:
    """Whether both are equal once the bound letter ("for some integer t") of one side is renamed to the letter that
    only the other side has; None if not exactly one letter is missing.
    """
    answer_letters, gold_letters = (_letters(sides(text)[-1]) for text in (answer, gold))
    missing = (gold_letters - answer_letters) if in_answer else (answer_letters - gold_letters)
    if letter not in (answer_letters if in_answer else gold_letters) or len(missing) != 1:
        return None
    pattern = re.compile(rf"(?<![A-Za-z\\]){letter}(?![A-Za-z]{{2}})|(?<=[^A-Za-z\\][A-Za-z]){letter}(?![A-Za-z])")
    renamed_text = pattern.sub(missing.pop(), answer if in_answer else gold)
    return pair.inner(renamed_text, gold) if in_answer else pair.inner(answer, renamed_text)


def _name(head: str) -> str:
    """f(x) and f are one name, and so are |AB| and AB."""
    function = _FUNCTION_HEAD.fullmatch(head)
    return function[1] if function else re.sub(r"\\(?:overline|[lr]?vert)(?![a-z])|[|{}\s]", "", head)


def _marks(head: str) -> tuple[int, bool, str]:
    """How often a name is derived, whether it is an inverse, and what is divided by what: y' is not y."""
    quotient = squeezed(head) if "\\frac" in head else ""
    derived = 1 if re.search(r"\{\s*d", head) and quotient else head.count("'")
    return derived, "^{-1}" in squeezed(head), quotient.replace("\\dfrac", "\\frac")


def _is_constant(text: str) -> bool:
    try:
        return is_plain_number(text) or not read_expression(text).symbols()
    except Unreadable:
        return False


def _letters(text: str) -> set[str]:
    """The letters that stand for themselves: all letters but those of words and commands."""
    return {letter for run in re.findall(r"(?<![A-Za-z\\])[A-Za-z]{1,2}(?![A-Za-z])", text) for letter in run}


def two_equations(pair: Pair, answer_sides: list[str], gold_sides: list[str]) -> Comparison | None:
    """Whether two equations say the same: definitions of functions whatever their letters, assignments by their values,
    others by left minus right up to a constant factor; None if a side cannot be read.
    """
    heads = [_FUNCTION_HEAD.fullmatch(side[0]) for side in (answer_sides, gold_sides)]
    try:
        if heads[0] and heads[1] and _marks(answer_sides[0]) != _marks(gold_sides[0]):
            return Comparison(False, "equation", f"{answer_sides[0]} is not {gold_sides[0]}")
        functions = any(head and head[1].removeprefix("\\") in FUNCTIONS for head in heads)
        if (
            heads[0] and heads[1] and not functions and is_head(answer_sides[0]) and is_head(gold_sides[0])
        ):  # f(x) = 2x and g(t) = 2t
            one, other = (
                renamed(read_expression(side[1]), head[2], "x")
                for side, head in zip((answer_sides, gold_sides), heads, strict=True)
                if head
            )
            return verdict(same_value(one, other))
        if is_head(answer_sides[0]) and is_head(gold_sides[0]):
            same_head = _name(answer_sides[0]) == _name(gold_sides[0])
            if _marks(answer_sides[0]) != _marks(gold_sides[0]):
                return Comparison(False, "equation", f"{answer_sides[0]} is not {gold_sides[0]}")
            right = pair.inner(answer_sides[1], gold_sides[1])
            if right is not None and right.equal and not same_head and _is_constant(gold_sides[1]):
                return Comparison(False, "equation", f"{answer_sides[0]} is not {gold_sides[0]}")
            if same_head or right is None or right.equal:
                return right
        nodes = [
            Node("+", (read_expression(side[0]), Node("neg", (read_expression(side[1]),))))
            for side in (answer_sides, gold_sides)
        ]
    except Unreadable:
        return None
    return verdict(same_equation(*nodes))
