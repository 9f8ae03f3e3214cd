"""Real sets as lists of intervals: (2, 5], ]2, 5[, x < 3, |x - 1| < 2, unions and set-builders. Ends stay texts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from verifiers.math.structure import relation_parts, split_list, split_outside, unwrap_set, unwrap_tuple

_SHIFTED = re.compile(r"(\\?[A-Za-z]{1,8})\s*([+-])\s*((?:[\d./{} ]|\\[dt]?frac|\\sqrt|\\pi(?![a-z]))+)")
_TURNED = re.compile(r"(?<![\w)}])([\[\]])([^\[\](),;]{1,60})[,;]([^\[\](),;]{1,60})([\[\]])")
_MEMBER = re.compile(r"^\s*[A-Za-z\\]{1,9}(?:_\{?\w+\}?)?\s*(?:\\in(?![a-z])|∈)\s*(?P<rest>.+)$", re.DOTALL)
_BUILDER = re.compile(
    r"^\\?\{\s*(?P<name>\\?[A-Za-z]{1,7})\s*(?:\\in\s*(?:\\mathbb\{?R\}?|R)\s*)?(?:\\?\||\\mid|:|\\vert)\s*(?P<rest>.+?)\s*\\?\}$",
    re.DOTALL,
)
_REAL_FIRST = re.compile(r"\\?[A-Za-z]{1,7}\s*\\in\s*(?:\\mathbb\s*\{?\s*R\s*\}?|R)\s*,\s*")
_UNION = re.compile(r"\\cup(?![a-z])|\bU\b|\\bigcup|\\text\s*\{\s*or\s*\}|(?<![A-Za-z\\])or(?![A-Za-z])")
_SIDES = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "!=": "!="}
_BARS = re.compile(r"(?:\\[lr]?vert|\|)(.+?)(?:\\[lr]?vert|\|)")


@dataclass(frozen=True, slots=True)
class Interval:
    """Ends as texts; None is infinity."""

    low: str | None
    high: str | None
    closed_low: bool
    closed_high: bool


def intervals(text: str) -> list[Interval] | None:
    """The real set that a union of intervals, an inequality or a set-builder describes, as a list of intervals; None if
    it is none.
    """
    body = text.strip()
    if member := _MEMBER.match(body):
        body = member["rest"].strip()
    if builder := _BUILDER.match(body):
        body = _REAL_FIRST.sub("", builder["rest"].strip())
    if re.fullmatch(r"\\(?:mathbb|mathbf|Bbb)\s*\{?\s*R\s*\}?|ℝ|R", body):
        return [Interval(None, None, False, False)]
    body = _TURNED.sub(_facing, body)
    parts = split_outside(body, _UNION)
    if len(parts) == 1 and "infty" in body and all(map(unwrap_tuple, members := split_list(body))):
        parts = members  # (-\\infty, 2) and (3, \\infty) cannot be points
    union: list[Interval] = []
    for part in parts:
        part_intervals = _interval(part.strip()) or (_points(part.strip()) if len(parts) > 1 else None)
        if part_intervals is None:
            return None
        union += part_intervals
    return union if any(interval.low != interval.high or interval.low is None for interval in union) else None


def _points(text: str) -> list[Interval] | None:
    """x = 0 and \\{0, 1\\} as intervals of one point, where they stand beside others."""
    inside = unwrap_set(text)
    value = text.partition("=")[2] if inside is None and _is_variable(text.partition("=")[0]) else ""
    points = split_list(inside) if inside is not None else [value.strip()] if value.strip() else []
    return [Interval(point, point, True, True) for point in points] or None


def _facing(match: re.Match[str]) -> str:
    """]2, 5[ as (2, 5), and [2, 5[ as [2, 5): brackets that are turned away leave the end out."""
    opening, low, high, closing = match.groups()
    return f"{'[' if opening == '[' else '('}{low},{high}{']' if closing == ']' else ')'}"


def _interval(text: str) -> list[Interval] | None:
    if pair := unwrap_tuple(text):
        opening, members, closing = pair
        if len(members) != 2:
            return None
        low, high = (None if _is_infinite(member) else member for member in members)
        return [Interval(low, high, opening == "[" and low is not None, closing == "]" and high is not None)]
    parts = relation_parts(text)
    if parts is None:
        return None
    terms, signs = parts
    if absolute := _absolute(terms, signs):
        return absolute
    if len(terms) == 2:
        left, right, sign = terms[0], terms[1], signs[0]
        if _is_variable(right) and not _is_variable(left):
            left, right, sign = right, left, _SIDES[sign]
        if not _is_variable(left):
            return None
        if sign == "!=":
            return [Interval(None, right, False, False), Interval(right, None, False, False)]
        if sign.startswith("<"):
            return [Interval(None, None if _is_infinite(right) else right, False, sign == "<=")]
        return [Interval(None if _is_infinite(right) else right, None, sign == ">=", False)]
    if len(terms) == 3 and _is_variable(terms[1]):
        low, _, high = terms
        first, second = signs
        if first.startswith(">") and second.startswith(">"):
            low, high, first, second = high, low, _SIDES[second], _SIDES[first]
        if first.startswith("<") and second.startswith("<"):
            return [
                Interval(
                    None if _is_infinite(low) else low,
                    None if _is_infinite(high) else high,
                    first == "<=",
                    second == "<=",
                )
            ]
    return None


def _is_variable(text: str) -> bool:
    return re.fullmatch(r"\\?[A-Za-z]{1,8}(?:_\{?\w+\}?)?'?", text.strip()) is not None and not _is_infinite(text)


def _is_infinite(text: str) -> bool:
    return re.fullmatch(r"[+-]?\s*(?:\\infty|\\infin|∞|inf|oo)", text.strip()) is not None


def _absolute(terms: list[str], signs: list[str]) -> list[Interval] | None:
    """|x| < a, |x - 2| > a and a < |x| < b as intervals."""
    if signs[0].startswith(">"):
        terms, signs = terms[::-1], [_SIDES[sign] for sign in signs[::-1]]
    places = [
        place
        for place, term in enumerate(terms)
        if (m := _BARS.fullmatch(term)) and (_is_variable(m[1]) or _SHIFTED.fullmatch(m[1].strip()))
    ]
    if len(places) != 1 or any(not sign.startswith("<") for sign in signs):
        return None
    place = places[0]
    inside = _BARS.fullmatch(terms[place])
    shift = _SHIFTED.fullmatch(inside[1].strip()) if inside else None
    middle = "" if shift is None else f" {'-' if shift[2] == '+' else '+'} ({shift[3].strip()})"
    low, high = terms[:place], terms[place + 1 :]
    if len(low) > 1 or len(high) > 1:
        return None
    closed = [sign == "<=" for sign in signs]
    if not low:
        return [Interval(f"-({high[0]}){middle}", high[0] + middle, closed[0], closed[0])]
    outer, outer_closed = (high[0], closed[1]) if high else (None, False)
    lower_outer, upper_outer = (None, None) if outer is None else (f"-({outer}){middle}", outer + middle)
    return [
        Interval(lower_outer, f"-({low[0]}){middle}", outer_closed, closed[0]),
        Interval(low[0] + middle, upper_outer, closed[0], outer_closed),
    ]
