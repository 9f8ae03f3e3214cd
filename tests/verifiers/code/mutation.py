"""Mutants of a program: one small mistake each, as a model makes them."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator

OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.FloorDiv,
    ast.Mod: ast.FloorDiv,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.In: ast.NotIn,
    ast.Not: ast.UAdd,
}


def mutants(source: str, seed: int) -> Iterator[str]:
    """All mutants of a program, in an order that the seed decides. Each differs from the program at one place."""
    tree = ast.parse(source)
    places = [(number, change) for number, node in enumerate(ast.walk(tree)) for change in _changes(node)]
    random.Random(seed).shuffle(places)
    for number, change in places:
        mutant = copy.deepcopy(tree)
        change(list(ast.walk(mutant))[number])
        yield ast.unparse(ast.fix_missing_locations(mutant))


def _changes(node: ast.AST) -> Iterator[Callable[[ast.AST], None]]:
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign | ast.UnaryOp) and type(node.op) in OPERATORS:
        yield _flip
    if isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
        yield _flip_comparison
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield _one_more
        yield _one_less
    if isinstance(node, ast.If):
        yield _without_condition
        yield _never
    if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Mult):
        yield _swapped
    if isinstance(node, ast.Call) and len(node.args) == 2:
        yield _swapped_arguments
    if isinstance(node, ast.Return) and node.value is not None:
        yield _returns_nothing


def _flip(node: ast.AST) -> None:
    node.op = OPERATORS[type(node.op)]()  # type: ignore[attr-defined]


def _flip_comparison(node: ast.AST) -> None:
    node.ops[0] = OPERATORS[type(node.ops[0])]()  # type: ignore[attr-defined]


def _one_more(node: ast.AST) -> None:
    node.value += 1  # type: ignore[attr-defined]


def _one_less(node: ast.AST) -> None:
    node.value -= 1  # type: ignore[attr-defined]


def _without_condition(node: ast.AST) -> None:
    node.test = ast.Constant(True)  # type: ignore[attr-defined]


def _never(node: ast.AST) -> None:
    node.test = ast.Constant(False)  # type: ignore[attr-defined]


def _swapped(node: ast.AST) -> None:
    node.left, node.right = node.right, node.left  # type: ignore[attr-defined]


def _swapped_arguments(node: ast.AST) -> None:
    node.args.reverse()  # type: ignore[attr-defined]


def _returns_nothing(node: ast.AST) -> None:
    node.value = None  # type: ignore[attr-defined]
