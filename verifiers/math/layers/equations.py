"""The layer of equations: x = 5 and 5, chains, approximations, qualifiers, and two equations that say the same."""

from __future__ import annotations

import re
from dataclasses import replace

from verifiers.math.expression import Unreadable, read_expression
from verifiers.math.layers.assignments import NAME, is_head
from verifiers.math.layers.expressions import is_expression, renamed, verdict
from verifiers.math.layers.numbers import is_plain_number
from verifiers.math.layers.pair import Comparison, Pair
from verifiers.math.normalise import squeezed
from verifiers.math.numeric import real_value, same_equation, same_value
from verifiers.math.structure import approximate_sides, sides
from verifiers.math.tree import Node

MAX_SIDES = 6
"""Sides of a chain of approximations."""
_FUNCTION_HEAD = re.compile(rf"({NAME})\s*\(\s*({NAME})\s*\)")
_QUALIFIER = re.compile(
    r"\s*(?:,\s*)?(?:\\text\s*\{\s*)?\b(?:for (?:all|any|every|each|some)|where|with|such that|as)\b.*$",
    re.DOTALL | re.IGNORECASE,
)
_BOUND = re.compile(r"\bfor (?:all|any|every|each|some)\s+(?:\w+\s+){0,3}?\$?([a-z])\b", re.IGNORECASE)


def equation(pair: Pair) -> Comparison | None:
    bound = [match[1] for text in (pair.answer, pair.gold) if (match := _BOUND.search(text))]
    answer, gold = (_QUALIFIER.sub("", text) or text for text in (pair.answer, pair.gold))
    if len(bound) == 1 and (answer, gold) != (
        pair.answer,
        pair.gold,
    ):  # "for some integer t" says that any letter would do
        made = rebound(pair, answer, gold, bound[0], of_answer=_BOUND.search(pair.answer) is not None)
        if made is not None and made.equal:
            return made
    if (answer, gold) != (pair.answer, pair.gold):
        made = pair.inner(answer, gold)
        if made is not None:
            return made
    for text, other, swap in ((answer, gold, False), (gold, answer, True)):
        near = [side for side in approximate_sides(text) if side and not is_head(side)]
        if near and (len(near) > 1 or len(approximate_sides(text)) > 1):
            if len(near) > MAX_SIDES or not _agree(near):
                return Comparison(False, "equation", "the sides of the approximation are far apart")
            for side in near:  # a = b and its decimals: either may be what is wanted
                made = pair.inner(other, side) if swap else pair.inner(side, other)
                if made is not None and made.equal:
                    return replace(made, reason="one side of the approximation")
            return made
    ours, theirs = sides(answer), sides(gold)
    if len(ours) == 1 and len(theirs) == 1:
        return None
    if len(ours) > 2 and len(theirs) <= 2:  # x = 5 + 5 + 1 = 11
        return pair.inner(f"{ours[0]} = {ours[-1]}" if len(theirs) == 2 else ours[-1], gold)
    if len(theirs) > 2 and len(ours) <= 2:
        return pair.inner(answer, f"{theirs[0]} = {theirs[-1]}" if len(ours) == 2 else theirs[-1])
    if (len(ours) == 2 and len(theirs) == 1) or (len(ours) == 1 and len(theirs) == 2):
        if (
            len(ours) == 2 and pair.policy.worked_out and pair.policy.assignments
        ):  # log_2 8 = 3, worked out before our eyes
            return pair.inner(ours[1], gold)
        long, short = (ours, gold) if len(ours) == 2 else (theirs, answer)
        if not pair.policy.assignments or not is_head(long[0]):
            return Comparison(False, "equation", "an equation against an expression") if is_expression(short) else None
        return pair.inner(long[1], gold) if long is ours else pair.inner(answer, long[1])
    if len(ours) == len(theirs) == 2:
        return two_equations(pair, ours, theirs)
    return None


def _agree(near: list[str]) -> bool:
    """Whether values that are said to be about equal are within 5%: "1, about 2, about 3" names many answers."""
    values = []
    for side in near:
        try:
            values.append(real_value(read_expression(side)))
        except Unreadable:
            values.append(None)
    known = [value for value in values if value is not None]
    return (
        len(near) == 1
        or (len(known) == len(near) and max(known) - min(known) <= 0.05 * max(map(abs, known)))
        or not known
    )


def rebound(pair: Pair, answer: str, gold: str, letter: str, *, of_answer: bool) -> Comparison | None:
    ours, theirs = (set(re.findall(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])", sides(text)[-1])) for text in (answer, gold))
    missing = (theirs - ours) if of_answer else (ours - theirs)
    if letter not in (ours if of_answer else theirs) or len(missing) != 1:
        return None
    pattern = re.compile(rf"(?<![A-Za-z\\]){letter}(?![A-Za-z])")
    renamed = pattern.sub(missing.pop(), answer if of_answer else gold)
    return pair.inner(renamed, gold) if of_answer else pair.inner(answer, renamed)


def two_equations(pair: Pair, ours: list[str], theirs: list[str]) -> Comparison | None:
    heads = [_FUNCTION_HEAD.fullmatch(side[0]) for side in (ours, theirs)]
    try:
        if heads[0] and heads[1] and is_head(ours[0]) and is_head(theirs[0]):  # f(x) = 2x and g(t) = 2t
            one, other = (
                renamed(read_expression(side[1]), head[2], "x")
                for side, head in zip((ours, theirs), heads, strict=True)
                if head
            )
            return verdict(same_value(one, other))
        if is_head(ours[0]) and is_head(theirs[0]):
            same_head = squeezed(ours[0]) == squeezed(theirs[0])
            right = pair.inner(ours[1], theirs[1])
            if right is not None and right.equal and not same_head and is_plain_number(theirs[1]):
                return Comparison(False, "equation", f"{ours[0]} is not {theirs[0]}")
            if same_head or right is None or right.equal:
                return right
        nodes = [
            Node("+", (read_expression(side[0]), Node("neg", (read_expression(side[1]),)))) for side in (ours, theirs)
        ]
    except Unreadable:
        return None
    return verdict(same_equation(*nodes))
