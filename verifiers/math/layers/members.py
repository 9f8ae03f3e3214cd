"""The layers of matrices, tuples, sets and lists: member by member, lists in any order."""

from __future__ import annotations

import collections
import re

from verifiers.math.layers.assignments import NAME, assigned_value, unassigned
from verifiers.math.layers.expressions import is_expression
from verifiers.math.layers.numbers import DECIMAL_TEXT
from verifiers.math.layers.pair import Comparison, Pair, all_equal, short
from verifiers.math.layers.words import bare_words, is_words
from verifiers.math.normalise import plain_text, rational, squeezed
from verifiers.math.structure import brackets_match, matrix_rows, plus_minus, relation_parts, split_list, unwrap_set, unwrap_tuple

MAX_MEMBERS = 64
"""Members of a list that are not the same text are compared one with another."""
_LABEL = re.compile(r"^[A-Z][A-Za-z ]{2,40}\d?:\s*(?=\S)")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_GROUPING = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")


def matrix(pair: Pair) -> Comparison | None:
    answer, gold = matrix_rows(pair.answer), matrix_rows(pair.gold)
    if answer is None or gold is None:
        return None
    if [len(row) for row in answer] != [len(row) for row in gold]:
        return Comparison(False, "matrix", "another shape")
    cells = [(a, g) for one, other in zip(answer, gold, strict=True) for a, g in zip(one, other, strict=True)]
    return all_equal(pair, cells, "matrix")


def members(pair: Pair) -> Comparison | None:
    values = unassigned(pair.answer, pair.gold), unassigned(pair.gold, pair.answer)
    if values != (pair.answer, pair.gold) and any(value.startswith("(") for value in values) and pair.policy.assignments:
        return pair.inner(*values)  # (x, y) = (1, 2)
    tuples = [unwrap_tuple(text) for text in (pair.answer, pair.gold)]
    if tuples[0] and tuples[1]:
        (_, one, _), (_, other, _) = tuples  # type: ignore[misc]
        if len(one) != len(other):
            return Comparison(False, "tuple", "another number of members")
        return all_equal(pair, list(zip(one, other, strict=True)), "tuple")
    for text, other in ((pair.answer, pair.gold), (pair.gold, pair.answer)):
        if _DECIMAL_COMMA.fullmatch(text) and DECIMAL_TEXT.fullmatch(other):  # 1,5 as it is written in Europe
            return Comparison(rational(text.replace(",", ".")) == rational(other), "decimal comma")
    answer, gold = (members_of(text) for text in (pair.answer, pair.gold))
    for text, others in ((pair.answer, gold), (pair.gold, answer)):
        chain = relation_parts(text)
        if chain and len(chain[0]) > 2 and set(chain[1]) == {"<"} and len(others) == len(chain[0]):  # b < a < c and "b, a, c"
            return all_equal(pair, list(zip(chain[0], others, strict=True)), "ascending order")
    if len(answer) == 1 and len(gold) == 1:
        for one, other in ((tuples[0], pair.gold), (tuples[1], pair.answer)):
            if one and is_expression(other):
                return Comparison(False, "tuple", "a tuple against a number")
        if answer[0] != pair.answer or gold[0] != pair.gold:  # {5} and 5
            return pair.inner(answer[0], gold[0])
        return None
    if len(answer) > 1 and len(gold) > 1 and (all(map(is_words, answer)) or all(map(is_words, gold))):
        return Comparison(sorted(map(bare_words, answer)) == sorted(map(bare_words, gold)), "list of words")
    # (a, b) as the reference and "a, b" or "x = a, y = b" as the answer: then the order counts.
    for one, other in ((tuples[0], gold), (tuples[1], answer)):
        if one and len(other) == len(one[1]) and len(other) > 1:
            ordered = [assigned_value(member) for member in other]
            made = list(zip(ordered, one[1], strict=True)) if one is tuples[1] else list(zip(one[1], ordered, strict=True))
            return all_equal(pair, made, "tuple")
    if len(answer) != len(gold):
        flat = [[inner for member in members for inner in members_of(unwrap_set(member) or member)] for members in (answer, gold)]
        if len(flat[0]) == len(flat[1]):  # {1, 2}, {3} for 1, 2, 3
            answer, gold = flat
    if len(answer) != len(gold):
        merged = multiset(pair, unique(answer), unique(gold))
        if len(unique(answer)) == len(unique(gold)) and merged is not None:
            return merged
        return Comparison(False, "list", "another number of members")
    if pair.policy.order_of_lists == "kept":
        return all_equal(pair, list(zip(answer, gold, strict=True)), "list")
    return multiset(pair, answer, gold)


def unique(members: list[str]) -> list[str]:
    return list({squeezed(member): member for member in members}.values())


def members_of(text: str) -> list[str]:
    """Members of a set or a bare list, each \\pm as two; the text alone if it is neither."""
    inside = unwrap_set(text)
    if inside is None and ";" in text and "," in text:  # p = 5, q = 2; p = 7, q = 2
        groups = [[assigned_value(part) for part in split_list(group)] for group in text.split(";")]
        if brackets_match(text) and len({len(group) for group in groups}) == 1 and len(groups[0]) > 1:
            return ["(" + ", ".join(group) + ")" for group in groups]
    bare = _GROUPING.fullmatch(text) is None
    found = split_list(inside if inside is not None else text) if bare or inside is not None else [text]
    members = [plain_text(reading) for part in found for reading in plus_minus(_LABEL.sub("", part))]
    shared = re.match(rf"({NAME})\s*=\s*", members[0]) if len(members) > 1 else None
    if shared and not any("=" in member for member in members[1:]):  # x = 1, 2, 3
        members[0] = members[0][shared.end() :]
    return members or [text]


def multiset(pair: Pair, answer: list[str], gold: list[str]) -> Comparison | None:
    """Members in any order. What is the same text is matched first."""
    ours, theirs = (collections.Counter(map(squeezed, members)) for members in (answer, gold))
    rest, wanted = list((ours - theirs).elements()), list((theirs - ours).elements())
    if not rest and not wanted:
        return Comparison(True, "list")
    if len(rest) != len(wanted):
        return Comparison(False, "list", "another number of members")
    if len(rest) > MAX_MEMBERS:
        return Comparison(False, "list", f"{len(rest)} members differ")
    unknown = False
    values = [assigned_value(member) if "=" not in "".join(wanted) else member for member in rest]
    for member in values:
        for other in wanted:
            made = pair.inner(member, other)
            if made is not None and made.equal:
                wanted.remove(other)
                break
            unknown = unknown or made is None
        else:
            return None if unknown else Comparison(False, "list", f"{short(member)} is not in the reference")
    return Comparison(True, "list")
