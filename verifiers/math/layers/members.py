"""The layers of matrices, tuples, sets and lists: member by member, lists in any order."""

from __future__ import annotations

import collections
import itertools
import re

from verifiers.math.layers.assignments import NAME, assigned_value, unassigned
from verifiers.math.layers.expressions import is_expression
from verifiers.math.layers.numbers import DECIMAL_TEXT
from verifiers.math.layers.pair import Comparison, Pair, all_equal, short
from verifiers.math.layers.statements import bare_words
from verifiers.math.layers.words import is_words
from verifiers.math.normalise import plain_text, rational, squeezed
from verifiers.math.structure import (
    brackets_match,
    matrix_rows,
    plus_minus,
    relation_parts,
    split_list,
    split_outside,
    unwrap_set,
    unwrap_tuple,
)

MAX_MEMBERS = 64
"""Members of a list that are not the same text are compared one with another."""
_LABEL = re.compile(r"^[A-Z][A-Za-z ]{2,40}\d?:\s*(?=\S)")
_CONTAINED = re.compile(
    rf"(?:{NAME}|\({NAME}(?:\s*,\s*{NAME})+\))\s*(?:\\c[ua]p\s*{NAME}\s*)?(?:\\in(?![a-z])|∈|\bin\b|=)\s*(?=\\?\{{|\\lbrace)"
)
_POINT_NAME = re.compile(r"[A-Z]'?\s*(?=\()")
_GROUPS = re.compile(r";|(?<=\d)\s+or\s+(?=\\?[A-Za-z]{1,7} ?=)")
_UNION = re.compile(r"\\cup(?![a-z])")
_DOTS = re.compile(r"\\(?:[lc]?dots)(?![a-z])|\.\.\.+|\u2026")
_NOTHING = re.compile(r"\\emptyset|\\varnothing|\u2205|\\?\{\s*\\?\}")
_TERM_OF_VECTOR = re.compile(
    r"\s*([+-]?)\s*([^+\-]*?)\s*(?:\\(?:hat|vec)\s*)?\{?\s*\\?([ijk])(?:math)?\s*\}?\s*(?=[+-]|$)"
)
MAX_DOTTED = 200
"""Members that dots may stand for."""
_INTEGER = re.compile(r"[+-]?\d{1,9}")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_GROUPING = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")


def matrix(pair: Pair) -> Comparison | None:
    """Whether two matrices have the same shape and equal cells; None unless both are matrices."""
    answer, gold = matrix_rows(pair.answer), matrix_rows(pair.gold)
    if ("{vmatrix}" in pair.answer) != ("{vmatrix}" in pair.gold):
        return None if answer is None or gold is None else Comparison(False, "matrix", "a determinant is no matrix")
    if answer is None or gold is None:
        return _vector(pair, answer, gold)
    if [len(row) for row in answer] != [len(row) for row in gold]:
        return Comparison(False, "matrix", "another shape")
    if "{cases}" in pair.answer and "{cases}" in pair.gold:
        places = {squeezed(row[-1]): row for row in gold}
        if len(places) == len(gold) and all(squeezed(row[-1]) in places for row in answer):
            gold = [places[squeezed(row[-1])] for row in answer]
    cells = [(a, g) for one, other in zip(answer, gold, strict=True) for a, g in zip(one, other, strict=True)]
    return all_equal(pair, cells, "matrix")


def _vector(pair: Pair, answer: list[list[str]] | None, gold: list[list[str]] | None) -> Comparison | None:
    """A matrix of one column or row and a tuple of its members; also "3i - j" with the unit vectors."""
    for rows, pack, text, swap in (
        (answer, unwrap_tuple(pair.answer), pair.gold, False),
        (gold, unwrap_tuple(pair.gold), pair.answer, True),
    ):
        coordinates = pack[1] if pack else [cell for row in rows for cell in row] if rows else []
        if len(coordinates) in (2, 3) and (terms := _unit_vectors(text, len(coordinates))):
            pairs = zip(terms, coordinates, strict=True) if swap else zip(coordinates, terms, strict=True)
            return all_equal(pair, list(pairs), "vector")
    for rows, other, swap in ((answer, pair.gold, False), (gold, pair.answer, True)):
        pack = unwrap_tuple(other) if rows is not None else None
        if rows is None or pack is None or not (len(rows) == 1 or all(len(row) == 1 for row in rows)):
            continue
        cells = [cell for row in rows for cell in row]
        if len(cells) != len(pack[1]):
            return Comparison(False, "matrix", "another number of members")
        pairs = zip(pack[1], cells, strict=True) if swap else zip(cells, pack[1], strict=True)
        return all_equal(pair, list(pairs), "matrix")
    return None


def _unit_vectors(text: str, dimension: int) -> list[str] | None:
    """The coordinates of "3i - j + 2k"; None if the text is no sum of multiples of different unit vectors."""
    if not re.search(r"[jk]", text) or len(text) > 200:
        return None
    coordinates = ["0"] * dimension
    place = 0
    while place < len(text):
        term = _TERM_OF_VECTOR.match(text, place)
        axis = "ijk".index(term[3]) if term else dimension
        if term is None or axis >= dimension or coordinates[axis] != "0" or not brackets_match(term[2]):
            return None
        coordinates[axis] = term[1] + (term[2] or "1")
        place = term.end()
    return coordinates


def members(pair: Pair) -> Comparison | None:
    """Whether two tuples, sets or lists hold the same members, and 1,5 is 1.5; None where neither is such."""
    if (_NOTHING.fullmatch(pair.answer) is None) != (_NOTHING.fullmatch(pair.gold) is None):
        other = pair.gold if _NOTHING.fullmatch(pair.answer) else pair.answer
        if unwrap_set(other) is not None:
            return Comparison(False, "list", "a set with members is not empty")
    named = _CONTAINED.match(pair.answer), _CONTAINED.match(pair.gold)
    if named[0] and named[1] and squeezed(named[0].group()) != squeezed(named[1].group()) and "\\in" in pair.gold:
        return Comparison(False, "list", "another name")
    answer, gold = members_of(pair.answer), members_of(pair.gold)
    for reading in (_assigned_tuple, _named_point, _two_tuples, _decimal_comma):
        if (comparison := reading(pair)) is not None:
            return comparison
    if len(answer) == len(gold) == 1:
        return _two_single(pair, answer[0], gold[0])
    return _ordered(pair, answer, gold) or _two_lists(pair, answer, gold)


def _assigned_tuple(pair: Pair) -> Comparison | None:
    """(x, y) = (1, 2) and (1, 2)."""
    values = unassigned(pair.answer, pair.gold), unassigned(pair.gold, pair.answer)
    if values == (pair.answer, pair.gold) or not pair.policy.assignments:
        return None
    return pair.inner(*values) if any(value.startswith("(") for value in values) else None


def _named_point(pair: Pair) -> Comparison | None:
    """P(1, 2) and (1, 2)."""
    for text, other, swap in ((pair.answer, pair.gold, False), (pair.gold, pair.answer, True)):
        if (name := _POINT_NAME.match(text)) and unwrap_tuple(other):
            point = text[name.end() :]
            if unwrap_tuple(point) and pair.policy.assignments:
                return pair.inner(other, point) if swap else pair.inner(point, other)
    return None


def _two_tuples(pair: Pair) -> Comparison | None:
    answer_tuple, gold_tuple = unwrap_tuple(pair.answer), unwrap_tuple(pair.gold)
    if answer_tuple is None or gold_tuple is None:
        return None
    if len(answer_tuple[1]) != len(gold_tuple[1]):
        return Comparison(False, "tuple", "another number of members")
    return all_equal(pair, list(zip(answer_tuple[1], gold_tuple[1], strict=True)), "tuple")


def _decimal_comma(pair: Pair) -> Comparison | None:
    """1,5 for 1.5, as it is written in much of Europe."""
    for text, other in ((pair.answer, pair.gold), (pair.gold, pair.answer)):
        if _DECIMAL_COMMA.fullmatch(text) and DECIMAL_TEXT.fullmatch(other):
            return Comparison(rational(text.replace(",", ".")) == rational(other), "decimal comma")
    return None


def _two_single(pair: Pair, answer: str, gold: str) -> Comparison | None:
    """{5} and 5; a tuple against a number."""
    if answer != pair.answer or gold != pair.gold:
        return pair.inner(answer, gold)
    for text, other in ((answer, gold), (gold, answer)):
        if unwrap_tuple(text) and is_expression(other):
            return Comparison(False, "tuple", "a tuple against a number")
    return None


def _ordered(pair: Pair, answer: list[str], gold: list[str]) -> Comparison | None:
    """A bare list against (a, b) or against b < a < c: then its order counts. Also "x = 1, y = 2" against (1, 2)."""
    for text, listed, swap in ((pair.gold, answer, False), (pair.answer, gold, True)):
        bare = pair.gold if swap else pair.answer
        if len(listed) < 2 or unwrap_set(bare) is not None or "\\pm" in text:
            continue
        chain, pack = relation_parts(text), unwrap_tuple(text)
        terms, method = (
            (pack[1], "tuple")
            if pack
            else (chain[0], "ascending order")
            if chain and set(chain[1]) == {"<"}
            else ([], "")
        )
        if len(terms) == len(listed) and (pack or len(terms) > 2):
            values = [assigned_value(member) for member in listed]
            pairs = zip(terms, values, strict=True) if swap else zip(values, terms, strict=True)
            return all_equal(pair, list(pairs), method)
    return None


def _two_lists(pair: Pair, answer: list[str], gold: list[str]) -> Comparison | None:
    """Whether two lists hold the same members; nested sets are opened, and repeated roots counted once, if the lengths
    differ.
    """
    if len(answer) > 1 and len(gold) > 1 and (all(map(is_words, answer)) or all(map(is_words, gold))):
        return Comparison(sorted(map(bare_words, answer)) == sorted(map(bare_words, gold)), "list of words")
    if len(answer) != len(gold):
        flat = [
            [inner for member in listed for inner in members_of(unwrap_set(member) or member)]
            for listed in (answer, gold)
        ]
        if len(flat[0]) == len(flat[1]):  # {1, 2}, {3} for 1, 2, 3
            answer, gold = flat
        else:  # a root that is listed twice
            answer, gold = unique(answer), unique(gold)
    if len(answer) != len(gold):
        return Comparison(False, "list", "another number of members")
    if pair.policy.list_order == "same" and unwrap_set(pair.answer) is None and unwrap_set(pair.gold) is None:
        return all_equal(pair, list(zip(answer, gold, strict=True)), "list")
    return multiset(pair, answer, gold)


def unique(members: list[str]) -> list[str]:
    """The members without those that are the same text once squeezed."""
    return list({squeezed(member): member for member in members}.values())


def members_of(text: str) -> list[str]:
    """Members of a set or a bare list, each \\pm as two; the text alone if it is neither."""
    if (contained := _CONTAINED.match(text)) and unwrap_set(text[contained.end() :]) is not None:
        text = text[contained.end() :]  # a \\in \\{3, -4\\}, S = \\{3, -4\\}
    inside = unwrap_set(text)
    if inside is None and "\\cup" in text:
        sets = [unwrap_set(part) for part in split_outside(text, _UNION)]
        inside = ", ".join(part for part in sets if part) if None not in sets else None
    if inside is None and "," in text and _GROUPS.search(text):  # p = 5, q = 2; p = 7, q = 2
        groups = [[assigned_value(part) for part in split_list(group)] for group in _GROUPS.split(text)]
        if brackets_match(text) and len({len(group) for group in groups}) == 1 and len(groups[0]) > 1:
            return ["(" + ", ".join(group) + ")" for group in groups]
    bare = _GROUPING.fullmatch(text) is None
    parts = split_list(inside if inside is not None else text) if bare or inside is not None else [text]
    parts = _without_dots(parts) if _DOTS.search(text) else parts
    members = [plain_text(reading) for part in parts for reading in plus_minus(_LABEL.sub("", part))]
    shared = re.match(rf"({NAME})\s*=\s*", members[0]) if len(members) > 1 else None
    if shared and not any("=" in member for member in members[1:]):  # x = 1, 2, 3
        members[0] = members[0][shared.end() :]
    return members or [text]


def _without_dots(parts: list[str]) -> list[str]:
    """1, 2, ..., 5 as 1, 2, 3, 4, 5. Where the step cannot be told, dots of all kinds are one member."""
    places = [place for place, part in enumerate(parts) if _DOTS.fullmatch(part)]
    if (
        len(places) == 1
        and 0 < places[0] < len(parts) - 1
        and all(_INTEGER.fullmatch(p) for p in parts if p != parts[places[0]])
    ):
        before, after = [int(part) for part in parts[: places[0]]], [int(part) for part in parts[places[0] + 1 :]]
        steps = {b - a for a, b in itertools.pairwise(before)} | {b - a for a, b in itertools.pairwise(after)} or {1}
        step = steps.pop()
        if (
            not steps
            and step
            and (after[0] - before[-1]) % step == 0
            and 0 < (after[0] - before[-1]) // step <= MAX_DOTTED
        ):
            return [str(value) for value in (*before, *range(before[-1] + step, after[0], step), *after)]
    return ["\\dots" if _DOTS.fullmatch(part) else part for part in parts]


def multiset(pair: Pair, answer: list[str], gold: list[str]) -> Comparison | None:
    """Members in any order. What is the same text is matched first."""
    answer_counts, gold_counts = (collections.Counter(map(squeezed, members)) for members in (answer, gold))
    surplus, missing = list((answer_counts - gold_counts).elements()), list((gold_counts - answer_counts).elements())
    if not surplus and not missing:
        return Comparison(True, "list")
    if len(surplus) != len(missing):
        return Comparison(False, "list", "another number of members")
    if len(surplus) > MAX_MEMBERS:
        return Comparison(False, "list", f"{len(surplus)} members differ")
    unknown = False
    values = [assigned_value(member) if "=" not in "".join(missing) else member for member in surplus]
    for member in values:
        for other in missing:
            comparison = pair.inner(member, other)
            if comparison is not None and comparison.equal:
                missing.remove(other)
                break
            unknown = unknown or comparison is None
        else:
            return None if unknown else Comparison(False, "list", f"{short(member)} is not in the reference")
    return Comparison(True, "list")
