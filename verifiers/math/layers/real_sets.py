"""The layer of real sets: intervals, unions, inequalities and set-builders, end by end."""

from __future__ import annotations

import re
from typing import Any

from verifiers.math.expression import Unreadable, read_expression
from verifiers.math.layers.pair import Comparison, Pair
from verifiers.math.numeric import real_value
from verifiers.math.structure import Interval, intervals, split_list, unwrap_set, unwrap_tuple


def real_set(pair: Pair) -> Comparison | None:
    """Whether two sets of reals consist of the same intervals; None unless both are such sets, or if an end is
    undecided.
    """
    if not (may_be_set(pair.answer) and may_be_set(pair.gold)):
        return None
    if (
        unwrap_tuple(pair.answer)
        and unwrap_tuple(pair.gold)
        and pair.answer[0] + pair.answer[-1] == pair.gold[0] + pair.gold[-1] == "()"
    ):
        return None  # two pairs, or two open intervals: member by member comes to the same
    answer, gold = spread(pair.answer), spread(pair.gold)
    if answer is None or gold is None:
        return None
    if len(answer) != len(gold):
        return Comparison(False, "real set", "another number of intervals")
    unknown = False
    left = list(gold)
    for interval in answer:
        for other in left:
            same = same_interval(pair, interval, other)
            if same:
                left.remove(other)
                break
            unknown = unknown or same is None
        else:
            return None if unknown else Comparison(False, "real set", "the intervals differ")
    return Comparison(True, "real set")


def may_be_set(text: str) -> bool:
    """Whether the text has the signs of an interval, a union or an inequality."""
    paired = ("(" in text or "[" in text) and ("," in text or ";" in text)
    return paired or re.search(r"<|>|\\l[et]|\\g[et]|\\ne|\\cup|\\mathbb", text) is not None


def spread(text: str) -> list[Interval] | None:
    """Intervals, with the points that "- {a, b}" or "\\setminus" takes out."""
    whole, *removed = re.split(r"(?:-|\\setminus|\\backslash)\s*(?=\\?\{)", text)
    pieces = intervals(whole.strip())
    if pieces is None or len(removed) > 1:
        return None
    for point in split_list(unwrap_set(removed[0].strip()) or "") if removed else []:
        cut = value(point)
        if cut is None:
            return None
        cut_pieces = []
        for interval in pieces:
            low, high = (None if end is None else value(end) for end in (interval.low, interval.high))
            if (interval.low is not None and low is None) or (interval.high is not None and high is None):
                return None
            inside = (low is None or low < cut) and (high is None or cut < high)
            cut_pieces += (
                [
                    Interval(interval.low, point, interval.closed_low, False),
                    Interval(point, interval.high, False, interval.closed_high),
                ]
                if inside
                else [interval]
            )
        pieces = cut_pieces
    return pieces


def value(text: str) -> Any:
    """The real value of an expression; None if it cannot be read or has none."""
    try:
        return real_value(read_expression(text))
    except Unreadable:
        return None


def same_interval(pair: Pair, one: Interval, other: Interval) -> bool | None:
    """Whether both ends are equal and closed alike; None if an end is undecided and none differs."""
    if (one.closed_low, one.closed_high) != (other.closed_low, other.closed_high):
        return False
    unknown = False
    for a, b in ((one.low, other.low), (one.high, other.high)):
        if (a is None) != (b is None):
            return False
        if a is not None and b is not None:
            comparison = pair.inner(a, b)
            if comparison is not None and not comparison.equal:
                return False
            unknown = unknown or comparison is None
    return None if unknown else True
