"""The layer of expressions: inequalities term by term, ratios, exact values, and values at random points."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from fractions import Fraction

from verifiers.math.expression import Unreadable, read_expression
from verifiers.math.layers.numbers import DECIMAL_TEXT, LETTER_UNIT, MONEY, Quantity, rounded_from, without_unit
from verifiers.math.layers.pair import Comparison, Pair, all_equal
from verifiers.math.numeric import Equality, mentions, real_value, same_value
from verifiers.math.policy import MathPolicy
from verifiers.math.structure import relation_parts, unwrap_group
from verifiers.math.tree import Node

PERIODIC = frozenset({"pi", "degrees"})
PARAMETERS = frozenset({"k", "n", "m", "l", "ell", "t", "s"})
"""Letters of the free integer of a general solution."""
_RATIO = re.compile(r"[^:]+(?::[^:]+)+")


_BOUND = re.compile(r"\s*(?:[<>\u2264\u2265]|\\(?:leqslant|geqslant|leq|geq|le|ge|lt|gt|neq?)(?![a-z]))")


def is_expression(text: str) -> bool:
    """Whether the text can be read as an expression."""
    try:
        read_expression(text)
    except Unreadable:
        return False
    return True


def renamed(node: Node, old: str, new: str) -> Node:
    """The tree with the symbol `old` called `new`."""
    old = old.removeprefix("\\")
    if node.op == "symbol" and node.value == old:
        return Node("symbol", (), new)
    return replace(node, args=tuple(renamed(argument, old, new) for argument in node.args)) if node.args else node


def expression(pair: Pair) -> Comparison | None:
    """Whether both have the same value: inequalities term by term, ratios by cross products, else by `same_value`; None
    if one cannot be read, or values do not settle it.
    """
    answer, gold = (unwrap_group(text) or text for text in (pair.answer, pair.gold))
    if sum(_BOUND.match(text) is not None for text in (answer, gold)) == 1:
        return Comparison(False, "inequality", "a bound is not a value")
    relations = [ascending(text) for text in (answer, gold)]
    if relations[0] and relations[1]:
        (answer_terms, answer_signs), (gold_terms, gold_signs) = relations[0], relations[1]
        if answer_signs == gold_signs and len(answer_terms) == len(gold_terms):
            comparison = all_equal(pair, list(zip(answer_terms, gold_terms, strict=True)), "inequality")
            # 2x < 10 and x < 5 are for algebra
            return comparison if comparison is not None and comparison.equal else None
        return None
    texts = [without_unit(MONEY.sub("", text)) if pair.policy.missing_units else text for text in (answer, gold)]
    if pair.policy.missing_units:
        texts = [_without_letter_unit(text, other) for text, other in (texts, texts[::-1])]
    if any(":" in text for text in texts):
        texts = [re.sub(r"\s+to\s+", ":", text) for text in texts]
    ratios = [text.count(":") for text in texts]
    if ratios[0] != ratios[1] and max(ratios) > 1:
        return Comparison(False, "ratio", "another number of terms")
    if ratios[0] == ratios[1] > 1 and all(_RATIO.fullmatch(text) for text in texts):
        return proportion(pair, texts[0].split(":"), texts[1].split(":"))
    try:
        one, other = (read_expression(text) for text in texts)
    except Unreadable:
        return None
    equality = same_value(one, other)
    if equality.equal:
        return verdict(equality)
    if pair.policy.rename_parameters and (same := other_letter(one, other)):
        return verdict(same)
    if equality.equal is None:
        return None
    if rounding := rounded_decimal(pair.policy, one, other, texts):
        return rounding
    if logarithms(one) and logarithms(other):  # log is the natural one to some, and that of base 10 to others
        tens = same_value(renamed_op(one, "log", "lg"), renamed_op(other, "log", "lg"))
        equality = tens if tens.equal else equality
    return verdict(equality)


def _without_letter_unit(text: str, other: str) -> str:
    """2\\sqrt{3} m as 2\\sqrt{3}, where the other side has no m."""
    unit = LETTER_UNIT.search(text)
    return text[: unit.start()] if unit and unit.group().strip() not in other else text


def ascending(text: str) -> tuple[list[str], list[str]] | None:
    """Terms and signs of a chain of inequalities, turned so that it does not begin with a "greater"."""
    parts = relation_parts(text)
    if parts is None or not parts[1][0].startswith(">"):
        return parts
    turned = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "!=": "!="}
    return parts[0][::-1], [turned[sign] for sign in parts[1][::-1]]


def logarithms(node: Node) -> bool:
    """Whether a logarithm or a number occurs in the tree."""
    return True if node.op in ("log", "lg", "number") else any(map(logarithms, node.args))


def renamed_op(node: Node, old: str, new: str) -> Node:
    """The tree with the operation `old` replaced by `new`."""
    return replace(
        node,
        op=new if node.op == old else node.op,
        args=tuple(renamed_op(argument, old, new) for argument in node.args),
    )


def proportion(pair: Pair, answer_terms: list[str], gold_terms: list[str]) -> Comparison | None:
    """a : b = c : d as ad = bc, for all neighbours."""
    terms = zip(itertools.pairwise(answer_terms), itertools.pairwise(gold_terms), strict=True)
    return all_equal(pair, [(f"({a})*({d})", f"({b})*({c})") for (a, b), (c, d) in terms], "ratio")


def other_letter(one: Node, other: Node) -> Equality | None:
    """The same with the one free integer or constant under another name."""
    one_letters, other_letters = one.symbols() - other.symbols(), other.symbols() - one.symbols()
    if len(one_letters) == len(other_letters) == 1 and (
        one_letters | other_letters == {"c", "C"}
        or (one_letters | other_letters <= PARAMETERS and mentions(other, PERIODIC))
    ):
        if (renamed_one := renamed(one, *one_letters, *other_letters)) == other:  # (-1)^k has few values
            return Equality(True, "renamed parameter")
        equality = same_value(renamed_one, other)
        return Equality(True, "renamed parameter") if equality.equal else None
    return None


def rounded_decimal(policy: MathPolicy, one: Node, other: Node, texts: list[str]) -> Comparison | None:
    """A decimal and the irrational number that it is cut or rounded from."""
    if policy.rounding_digits is None:
        return None
    for text, exact_node in ((texts[0].strip(), other), (texts[1].strip(), one)):
        if not DECIMAL_TEXT.fullmatch(text) or exact_node.symbols():
            continue
        true_value = real_value(exact_node)
        if true_value is not None and abs(true_value) < 10**30:
            written = Quantity(Fraction(text), False, text)
            if rounded_from(written, Fraction(int(true_value * 10**40), 10**40), policy):
                return Comparison(True, "rounding")
    return None


def verdict(equality: Equality) -> Comparison | None:
    """The outcome of `numeric` as that of a layer; None where it could not be decided."""
    return None if equality.equal is None else Comparison(equality.equal, equality.method)
