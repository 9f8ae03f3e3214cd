"""The layer of conditions: 2^{n-1} is 2^{n-1} for n >= 2, and k pi is k pi with an integer k."""

from __future__ import annotations

import re
from dataclasses import dataclass

from verifiers.math.layers.pair import Comparison, Pair
from verifiers.math.structure import relation_parts, sides

_NAME = r"\\?[A-Za-z]{1,8}(?:_\{?\w+\}?)?"
_NAMES = rf"{_NAME}(?:\s*,\s*{_NAME})*"
_SET = (
    r"(?:\\(?:mathbb|mathbf|Bbb|mathrm|mathcal)\s*\{?\s*[A-Z]\s*\}?|[ZNRQC\u2124\u2115\u211d\u211a])"
    r"(?:\s*[_^]\s*(?:\{[^{}]*\}|[+*\d]))*"
)
_RELATION = r"(?:\\(?:leqslant|geqslant|leq|geq|le|ge|lt|gt|neq|ne)(?![a-z])|<=|>=|!=|<|>)"
_TERM = r"[^,;=<>\u2264\u2265()]{1,40}?"
_KINDS = (
    r"(?:an?\s+|any\s+|some\s+|all\s+|every\s+|each\s+|arbitrary\s+|fixed\s+)*(?:(?:positive|negative|non-?negative|nonzero|non-zero"
    r"|natural|real|integer|rational|complex|whole|arbitrary|prime|odd|even)\s*)*"
    r"(?:integers?|numbers?|reals?|constants?|naturals?|parameters?|values?)"
)
_INTRODUCTION = (
    r"(?:for|where|with|if|when|as long as|provided(?: that)?|such that|and|here|given|\\forall|any|all"
    r"|every|each|some)"
)
_CONDITION = re.compile(
    rf"(?P<membership>(?P<names>{_NAMES})\s*(?:\\in(?![a-z])|\u2208|in(?![a-z]))\s*(?P<set>{_SET}))"
    rf"|(?P<inequality>(?:{_TERM}\s*{_RELATION}\s*)?(?P<name>{_NAME})\s*{_RELATION}\s*{_TERM})"
    rf"|(?P<prose>(?P<subject>{_NAMES})?\s*(?:is|are|being|\\text)?\s*{_KINDS}(?:\s+(?P<last>{_NAME}))?)"
)
_SPLIT = re.compile(
    rf"(?:\s*(?:,|;|\\q?quad)\s*(?:\\q?quad\s*)?(?:{_INTRODUCTION}\s+)*|\s+(?:{_INTRODUCTION}\s+)+|\s*(?=\\forall))"
    rf"(?:\\forall\s*)?"
)
_PLACE = re.compile(
    rf"(?<=[\w}})])\s*,?\s+(?:at|when|attained at|reached at)\s+(?P<place>{_NAME}\s*=\s*[^=,]{{1,40}})$"
)
_EVERYWHERE = re.compile(
    rf"(?:\s|,|\\[ ,;:]|\\q?quad)*(?:for\s+)?\\forall\s*{_NAMES}\s*(?:(?:\\in(?![a-z])|\u2208)\s*{_SET})?\s*$"
    rf"|(?:\s|[,(]|\\[ ,;:]|\\q?quad)*[,( ](?:for|where|with)?\s*{_NAME}"
    rf"\s*=[^=]{{1,40}}(?:\\[lc]?dots|\.\.\.)[^=]{{0,10}}$"
)
_FAMILY = re.compile(
    rf"\\?\{{\s*(?P<member>{_NAME})\s*(?:(?:\\in(?![a-z])|\u2208)\s*{_SET}\s*)?(?:\\?\||\\mid(?![a-z])|:)"
    rf"\s*(?P<rest>(?P=member)\s*=[^=<>]+?)\s*\\?\}}"
)
"""\\{x | x = 2k, k \\in Z\\}."""
_WHOLE_BRACKET = re.compile(r"\s*(?:,\s*|\\q?quad\s*)?[(\[]\s*(?P<inside>[^()\[\]]{3,80})\s*[)\]]\s*$")


@dataclass(frozen=True, slots=True)
class Condition:
    kind: str
    """membership, inequality, place ("at x = 3") or prose."""
    text: str
    names: frozenset[str]
    """The names that it speaks of."""


def conditioned(pair: Pair) -> Comparison | None:
    """Whether both are equal without the conditions on their parameters. Two conditions of one kind that differ make
    them unequal; a condition on one side alone is not part of the answer. None where neither side has one.
    """
    families = [_FAMILY.fullmatch(text) if "=" in text and "}" in text else None for text in (pair.answer, pair.gold)]
    if any(families):
        opened = [
            family["rest"] if family else text for family, text in zip(families, (pair.answer, pair.gold), strict=True)
        ]
        return pair.inner(opened[0], opened[1])
    answer, gold = split_condition(pair.answer), split_condition(pair.gold)
    if answer[1] is None and gold[1] is None:
        return None
    if answer[1] and gold[1] and not _same_condition(pair, answer[1], gold[1]):
        return Comparison(False, "condition", f"{answer[1].text} is not {gold[1].text}")
    comparison = pair.inner(answer[0], gold[0])
    bound = any(condition and condition.kind == "prose" for _, condition in (answer, gold))
    return None if bound and not (comparison and comparison.equal) else comparison  # "for some integer t": any letter


def split_condition(text: str) -> tuple[str, Condition | None]:
    """The text without the condition at its end, and the condition. It must be on a letter of the formula before it,
    which is itself no inequality: "x > 2, x != 3" is one set.
    """
    if (
        not re.search(
            r"[<>\u2208\u2264\u2265]|\\in|\\g|\\l|\\n|\\forall|in|number|constant|real|\bat\b|when|dots", text
        )
        or len(text) > 500
        or "\\begin" in text
    ):
        return text, None
    if place := _PLACE.search(text):
        return text[: place.start()].strip(), Condition("place", place["place"], frozenset())
    if everywhere := _EVERYWHERE.search(text):
        return text[: everywhere.start()].strip(), Condition("prose", everywhere.group().strip(), frozenset())
    if bracket := _WHOLE_BRACKET.search(text):
        inside = re.sub(rf"^(?:{_INTRODUCTION}\s+)+", "", bracket["inside"].strip())
        if condition := _condition(inside, text[: bracket.start()]):
            return text[: bracket.start()].strip(), condition
    for separator in _SPLIT.finditer(text):
        main, ending = text[: separator.start()].strip(), text[separator.end() :].strip().rstrip(".")
        if condition := _condition(ending, main):
            return main, condition
    return text, None


def _condition(text: str, main: str) -> Condition | None:
    match = _CONDITION.fullmatch(text)
    if match is None or not main or relation_parts(main) is not None or main.count("(") != main.count(")"):
        return None
    kind = next(kind for kind in ("membership", "inequality", "prose") if match[kind])
    written = match["names"] or match["name"] or match["subject"] or match["last"] or ""
    names = frozenset(re.findall(r"[A-Za-z]+", written))
    letters = set(re.findall(r"[A-Za-z]+", re.sub(r"\\text\s*\{[^{}]*\}", "", main)))
    single = {letter for word in letters for letter in (word if len(word) <= 3 else [word])} | letters
    if not names or not names <= single or (kind == "inequality" and len(sides(main)) == 2 and sides(main)[0] in names):
        return None
    return Condition(kind, text, names)


def _same_condition(pair: Pair, one: Condition, other: Condition) -> bool:
    if one.kind != other.kind or one.kind == "prose":
        return True
    if one.kind == "membership":
        return _set_of(one.text) == _set_of(other.text)
    comparison = pair.inner(_from_integer(one.text), _from_integer(other.text))
    return comparison is None or comparison.equal


def _set_of(text: str) -> str:
    letters = re.sub(r"\\(?:mathbb|mathbf|Bbb|mathrm|mathcal|in)|\u2208|[{}\s]", "", text)
    return (
        re.sub(
            r"\^\+|_\+|\^\*|_\{?>0\}?", "+", letters.translate(str.maketrans("\u2124\u2115\u211d\u211a", "ZNRQ"))[1:]
        )
        .replace("Z+", "N")
        .replace("N+", "N")
    )


def _from_integer(text: str) -> str:
    """n > 1 as n >= 2: conditions on parameters are mostly on integers."""
    return re.sub(r"(?:>|\\gt)\s*(\d+)$", lambda match: f"\\ge {int(match[1]) + 1}", text)
