"""Words that exclude each other: am and pm, Monday and Tuesday, boys and girls."""

from __future__ import annotations

_OPPOSITES = tuple(
    frozenset(group.split())
    for group in (
        "am pm",
        "monday tuesday wednesday thursday friday saturday sunday",
        "january february march april may june july august september october november december",
        "north south east west northeast northwest southeast southwest",
        "left right",
        "up down upward downward upwards downwards",
        "above below",
        "increase decrease increased decreased increases decreases",
        "profit loss gain",
        "odd even",
        "more less fewer",
        "larger smaller greater",
        "clockwise counterclockwise anticlockwise",
        "positive negative",
        "inside outside",
        "before after",
        "rational irrational",
        "yes no",
        "true false",
        "convergent divergent converges diverges",
        "acute obtuse",
        "ad bc",
        "tens ones hundreds",
        "boy girl",
        "man woman",
        "male female",
        "father mother",
        "brother sister",
        "son daughter",
        "husband wife",
        "adult child",
        "win lose draw",
        "win loss",
        "apple orange banana pear peach",
        "cat dog",
        "cow horse sheep pig chicken duck goat rabbit",
        "pen pencil",
        "car truck bus bicycle",
        "head tail",
        "buy sell",
        "buyer seller",
        "hotter colder",
        "taller shorter",
        "older younger",
        "faster slower",
        "maximum minimum",
        "horizontal vertical",
        "row column",
        "numerator denominator",
        "sine cosine",
        "concave convex",
        "early late",
        "earlier later",
        "red orange yellow green blue purple black white brown pink",
    )
)

_EXCLUSIVE = frozenset().union(*_OPPOSITES)


def opposites(answer: frozenset[str], gold: frozenset[str]) -> str:
    """Two words that exclude each other, one on each side, as a message; empty if there are none."""
    if _EXCLUSIVE.isdisjoint(answer) or _EXCLUSIVE.isdisjoint(gold):
        return ""
    for group in _OPPOSITES:
        one, other = answer & group, gold & group
        if one and other and one != other and not (one & other):
            return f"{min(one)} is not {min(other)}"
    return ""
