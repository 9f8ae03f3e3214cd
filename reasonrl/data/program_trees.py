"""Expressions of Python over the integers `x` and `y` as trees: their value, their text, and other ways to write them.

A tree is an integer, the name of an argument, or an operator with its operands. Nothing here is executed as Python: the
values come from the tree.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Op:
    """An operator and its operands. `if` has a condition, a value and an alternative."""

    name: str
    operands: tuple[Tree, ...]


Tree = int | str | Op

ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "max": max,
    "min": min,
}
COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
"""The comparison with its sides exchanged."""
NEGATED = {"<": ">=", ">": "<=", "<=": ">", ">=": "<", "==": "!=", "!=": "=="}
_CONFUSED = {"+": "-", "-": "+", "max": "min", "min": "max"}
_PRECEDENCE = {"if": 0, "+": 2, "-": 2, "*": 3, "//": 3, "%": 3, "negative": 4, "**": 5} | dict.fromkeys(COMPARISONS, 1)
_LEAF = 6


def value(tree: Tree, arguments: Mapping[str, int]) -> int:
    """The value of the tree. Raises ZeroDivisionError as Python does."""
    if isinstance(tree, int):
        return tree
    if isinstance(tree, str):
        return arguments[tree]
    if tree.name == "if":
        condition, then, otherwise = tree.operands
        return value(then if value(condition, arguments) else otherwise, arguments)
    values = [value(operand, arguments) for operand in tree.operands]
    if tree.name == "abs":
        return abs(values[0])
    if tree.name == "negative":
        return -values[0]
    if tree.name in COMPARISONS:
        return COMPARISONS[tree.name](*values)
    return ARITHMETIC[tree.name](*values)


def size(tree: Tree) -> int:
    """The number of operators."""
    return 1 + sum(map(size, tree.operands)) if isinstance(tree, Op) else 0


def text(tree: Tree) -> str:
    """Python source, with no more brackets than it needs: "2 * (x + y)"."""
    return _text(tree)[0]


def _text(tree: Tree) -> tuple[str, int]:
    """The source and how strongly its outermost operator binds."""
    if not isinstance(tree, Op):
        return str(tree), _LEAF
    name, operands = tree.name, tree.operands
    if name in ("max", "min", "abs"):
        return f"{name}({', '.join(text(operand) for operand in operands)})", _LEAF
    binds = _PRECEDENCE[name]
    if name == "if":
        condition, then, otherwise = operands
        return f"{_within(then, 1)} if {_within(condition, 1)} else {_within(otherwise, 0)}", binds
    if name == "negative":
        return f"-{_within(operands[0], binds)}", binds
    left, right = operands
    if name == "**":
        return f"{_within(left, binds + 1)} ** {_within(right, binds)}", binds
    if name in COMPARISONS:
        return f"{_within(left, binds + 1)} {name} {_within(right, binds + 1)}", binds
    return f"{_within(left, binds)} {name} {_within(right, binds + 1)}", binds


def _within(tree: Tree, least: int) -> str:
    source, binds = _text(tree)
    return source if binds >= least else f"({source})"


def total(terms: Sequence[tuple[int, Tree]]) -> Tree:
    """The sum of terms with signs: (1, x), (-1, 2) is x - 2."""
    sign, tree = terms[0]
    if sign < 0:
        tree = -tree if isinstance(tree, int) else Op("negative", (tree,))
    for sign, term in terms[1:]:
        tree = Op("+" if sign > 0 else "-", (tree, term))
    return tree


def rewritten(tree: Tree, rng: random.Random) -> Tree:
    """The same function in one of its other forms, drawn evenly at each operator: `max(x, y)` may become
    `y if x < y else x`.
    """
    if not isinstance(tree, Op):
        return tree
    node = Op(tree.name, tuple(rewritten(operand, rng) for operand in tree.operands))
    return rng.choice([node, *_other_forms(node)])


def with_a_mistake(tree: Tree, rng: random.Random) -> Tree:
    """The tree with one mistake at a place drawn evenly: a constant or an argument off by one, another sign, an operand
    left out, `max` for `min`. It can still be the same function.
    """
    return rng.choice(list(_with_one_mistake(tree)))


def _with_one_mistake(tree: Tree) -> Iterator[Tree]:
    if isinstance(tree, int):
        yield from (tree - 1, tree + 1)
        return
    if isinstance(tree, str):
        yield from (Op("+", (tree, 1)), Op("-", (tree, 1)))
        return
    if tree.name in _CONFUSED:
        yield Op(_CONFUSED[tree.name], tree.operands)
    if tree.name != "if":
        yield from tree.operands
    for place, operand in enumerate(tree.operands):
        for wrong in _with_one_mistake(operand):
            yield Op(tree.name, (*tree.operands[:place], wrong, *tree.operands[place + 1 :]))


def _other_forms(tree: Op) -> list[Tree]:
    name, operands = tree.name, tree.operands
    if name in TURNED:
        return [Op(TURNED[name], operands[::-1])]
    if name == "if":
        condition, then, otherwise = operands
        if isinstance(condition, Op) and condition.name in NEGATED:
            return [Op("if", (Op(NEGATED[condition.name], condition.operands), otherwise, then))]
        return []
    if name == "abs":
        return _forms_of_abs(operands[0])
    if name == "negative":
        return []
    left, right = operands
    if name in ("max", "min"):
        return _forms_of_extreme(name, left, right)
    if name == "+":
        return [Op("+", (right, left)), *([Op("*", (2, left))] if left == right else [])]
    if name == "-":
        return [Op("+", (Op("negative", (left_of,)), left)) for left_of in [right] if not isinstance(right, Op)]
    if name == "*":
        return _forms_of_product(left, right)
    if name == "%" and not isinstance(left, Op):
        return [Op("-", (left, Op("*", (right, Op("//", (left, right))))))]
    return []


def _forms_of_extreme(name: str, left: Tree, right: Tree) -> list[Tree]:
    forms: list[Tree] = [Op(name, (right, left))]
    if size(left) + size(right) <= 1:  # longer operands would be written twice
        larger = ">" if name == "max" else "<"
        forms.append(Op("if", (Op(larger, (left, right)), left, right)))
        forms.append(Op("if", (Op(TURNED[larger], (left, right)), right, left)))
    return forms


def _forms_of_abs(inner: Tree) -> list[Tree]:
    if not isinstance(inner, Op) or inner.name != "-":
        return []
    left, right = inner.operands
    turned = Op("-", (right, left))
    forms: list[Tree] = [Op("abs", (turned,))]
    if size(inner) <= 2:
        forms.append(Op("max", (inner, turned)))
        forms.append(Op("if", (Op(">", (left, right)), inner, turned)))
        forms.append(Op("-", (Op("max", (left, right)), Op("min", (left, right)))))
    return forms


def _forms_of_product(left: Tree, right: Tree) -> list[Tree]:
    forms: list[Tree] = [Op("*", (right, left))]
    if left == right:
        forms.append(Op("**", (left, 2)))
    if left == 2 and not isinstance(right, Op):
        forms.append(Op("+", (right, right)))
    if isinstance(right, Op) and right.name in ("+", "-") and isinstance(left, int):
        forms.append(Op(right.name, tuple(Op("*", (left, operand)) for operand in right.operands)))
    return forms
