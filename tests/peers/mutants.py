"""Programs with one small mistake: an operator, a constant, a condition or a result is changed.

completion -> completions, each parsed and written again, so that they differ from the original in one place
"""

from __future__ import annotations

import ast
import copy
import random
import textwrap
from collections.abc import Iterator

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.FloorDiv,
    ast.Mod: ast.FloorDiv,
}


def mutants(prompt: str, completion: str, entry_point: str, count: int, seed: int) -> list[str]:
    """At most `count` different completions with one mistake each, in an order that the seed decides.

    A mutant may be right all the same, where the change does not matter.
    """
    tree = ast.parse(prompt + completion)
    original = _body(tree, entry_point)
    texts = list(dict.fromkeys(_body(mutant, entry_point) for mutant in _mutated(tree, entry_point)))
    texts = [text for text in texts if text != original]
    random.Random(f"{seed} {entry_point}").shuffle(texts)
    return texts[:count]


def _mutated(tree: ast.Module, entry_point: str) -> Iterator[ast.Module]:
    """A copy of the tree for each change of a node of the function."""
    for place, node in enumerate(_nodes(tree, entry_point)):
        for change in range(_changes(node)):
            other = copy.deepcopy(tree)
            _apply(_nodes(other, entry_point)[place], change)
            yield ast.fix_missing_locations(other)


def _function(tree: ast.Module, entry_point: str) -> ast.FunctionDef:
    return next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == entry_point)


def _statements(tree: ast.Module, entry_point: str) -> list[ast.stmt]:
    """The body without its docstring."""
    body = _function(tree, entry_point).body
    return body[1:] if ast.get_docstring(_function(tree, entry_point)) is not None else body


def _nodes(tree: ast.Module, entry_point: str) -> list[ast.AST]:
    return [node for statement in _statements(tree, entry_point) for node in ast.walk(statement)]


def _body(tree: ast.Module, entry_point: str) -> str:
    statements = "\n".join(ast.unparse(statement) for statement in _statements(tree, entry_point))
    return textwrap.indent(statements, "    ") + "\n"


def _changes(node: ast.AST) -> int:
    """How many changes there are of a node."""
    if isinstance(node, ast.Compare):
        return int(type(node.ops[0]) in _COMPARISONS)
    if isinstance(node, ast.BinOp | ast.AugAssign):
        return int(type(node.op) in _OPERATORS)
    if isinstance(node, ast.Constant):
        is_number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
        return 2 if is_number else int(isinstance(node.value, bool))
    if isinstance(node, ast.Return):
        return int(node.value is not None)
    return int(isinstance(node, ast.BoolOp | ast.If | ast.IfExp))


def _apply(node: ast.AST, change: int) -> None:
    if isinstance(node, ast.Compare):
        node.ops[0] = _COMPARISONS[type(node.ops[0])]()
    elif isinstance(node, ast.BinOp | ast.AugAssign):
        node.op = _OPERATORS[type(node.op)]()
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            node.value = not node.value
        elif isinstance(node.value, int | float):
            node.value += 1 - 2 * change
    elif isinstance(node, ast.BoolOp):
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.If | ast.IfExp):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.Return):
        node.value = None
