"""The layer of real sets: intervals, unions, inequalities and set-builders, end by end."""

from __future__ import annotations

import re
from typing import Any

from verifiers.math.expression import Unreadable, read_expression
from verifiers.math.intervals import Interval, intervals
from verifiers.math.layers.pair import Comparison, Pair
from verifiers.math.numeric import real_value
from verifiers.math.structure import split_list, unwrap_set, unwrap_tuple

_RELATIONS = (
    (r"at least|greater than or equal to|no less than|not less than", "\\ge"),
    (r"at most|less than or equal to|no more than|not more than|no greater than", "\\le"),
    (r"(?:strictly )?(?:greater|larger|more|bigger) than", ">"),
    (r"(?:strictly )?(?:less|smaller|fewer) than", "<"),
)
_IN_WORDS = re.compile(
    r"^(?:(?P<name>[A-Za-z]) )?(?:(?:is|are|must be|can be) )?"
    rf"(?P<words>{'|'.join(words for words, _ in _RELATIONS)}) (?=[-\d\\])"
)
_FOR_ALL = re.compile(
    r"^(?:for )?(?:all|any|every) (?:(?:real|positive|natural|rational|odd|even) )*"
    r"(?:(?:integers?|numbers?|reals?|values(?: of)?) )?"
    r"(?=\\?[A-Za-z]{1,8} ?(?:[<>]|\\[lgn]e))"
)
_APART = re.compile(r"\s*(?:,|;|\band\b|\\land)\s*\\?[A-Za-z]{1,7}\s*(?:\\neq?(?![a-z])|!=)\s*(?P<points>[^<>=]+)$")
_TWO_NAMES = re.compile(r"\s*\\?[A-Za-z]{1,8}\s*(?:[<>]=?|\\[lg]e(?:q|qslant|slant)?(?![a-z]))\s*\\?[A-Za-z]{1,8}\s*")
_NAMED = re.compile(
    r"\s*(\\?[A-Za-z]{1,8})\s*(?:[<>]=?|\\[lg]e(?:q|qslant|slant)?(?![a-z]))"
    r"(?:[^<>A-Za-z\\]|\\(?:frac|sqrt|pi|infty)(?![a-z]))+"
)


def real_set(pair: Pair) -> Comparison | None:
    """Whether two sets of reals consist of the same intervals; None unless both are such sets, or if an end is
    undecided.
    """
    if not (may_be_set(pair.answer) and may_be_set(pair.gold)):
        return None
    if all(_TWO_NAMES.fullmatch(text) for text in (pair.answer, pair.gold)):
        return None  # a < b and b > a
    names = _NAMED.fullmatch(pair.answer), _NAMED.fullmatch(pair.gold)
    if names[0] and names[1] and names[0][1] != names[1][1]:
        return Comparison(False, "real set", f"{names[0][1]} is not {names[1][1]}")
    if (
        unwrap_tuple(pair.answer)
        and unwrap_tuple(pair.gold)
        and pair.answer[0] + pair.answer[-1] == pair.gold[0] + pair.gold[-1] == "()"
    ):
        return None  # two pairs, or two open intervals: member by member comes to the same
    answer, gold = spread(_in_signs(pair.answer)), spread(_in_signs(pair.gold))
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


def _in_signs(text: str) -> str:
    """x is at least 3, and "all integers x \\ge 3", as x \\ge 3."""
    text = _FOR_ALL.sub("", text)
    if " " not in text or not (relation := _IN_WORDS.search(text)):
        return text
    sign = next(sign for words, sign in _RELATIONS if re.fullmatch(words, relation["words"]))
    return f"{relation['name'] or 'x'} {sign} {text[relation.end() :]}"


def may_be_set(text: str) -> bool:
    """Whether the text has the signs or the words of an interval, a union or an inequality."""
    if "than" in text or "at " in text:
        return True
    paired = ("(" in text or "[" in text or "]" in text) and ("," in text or ";" in text)
    return paired or re.search(r"<|>|\\l[et]|\\g[et]|\\ne|\\cup|\\mathbb", text) is not None


def spread(text: str) -> list[Interval] | None:
    """Intervals, with the points that "- {a, b}" or "\\setminus" takes out."""
    whole, *removed = re.split(r"(?:-|\\setminus|\\backslash)\s*(?=\\?\{)", text)
    if not removed and not whole.endswith("}") and (apart := _APART.search(whole)):  # -2 < x < 2, x \\ne 0
        whole, removed = whole[: apart.start()], [f"{{{apart['points']}}}"]
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
