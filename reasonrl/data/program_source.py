"""Programs that a model wrote, read as trees: `def f(x, y): return ...` with what `program_trees` knows.

The text is parsed and never executed; values come from the tree, and are bounded.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from reasonrl.data.program_trees import Op, Tree, value
from verifiers.python_source import tree_of

_OPERATORS: dict[type, str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Lt: "<",
    ast.Gt: ">",
    ast.LtE: "<=",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_CALLS = {"abs": 1, "max": 2, "min": 2}
_LARGEST_POWER = 3
_LONGEST = 400
LARGEST_CONSTANT = 10**6


def read_program(source: str) -> tuple[list[str], Tree]:
    """The arguments and the expression of a function of one line, with powers up to 3.

    Raises ValueError for any other text.
    """
    if len(source) > _LONGEST:
        raise ValueError(f"a program of {len(source):,} characters is too long")
    try:
        module = tree_of(source)
        match module.body:
            case [ast.FunctionDef(args=arguments, body=[ast.Return(value=ast.expr() as expression)])]:
                names = [argument.arg for argument in arguments.args]
                return names, _tree(expression, names)
    except (SyntaxError, RecursionError, MemoryError) as error:  # how Python's parser refuses a text
        raise ValueError(f"not a program of Python: {error}") from error
    raise ValueError("not a function of one line that returns an expression")


def values_of(source: str, inputs: Sequence[tuple[int, ...]]) -> list[int | None]:
    """The value for each input; None where there is none, such as a division by zero. Raises as `read_program`."""
    names, tree = read_program(source)
    values: list[int | None] = []
    for given in inputs:
        if len(given) != len(names):
            values.append(None)
            continue
        try:
            values.append(value(tree, dict(zip(names, given, strict=True))))
        except ZeroDivisionError:
            values.append(None)
    return values


def _tree(node: ast.expr, names: list[str]) -> Tree:
    def trees(*nodes: ast.expr) -> tuple[Tree, ...]:
        return tuple(_tree(each, names) for each in nodes)

    match node:
        case ast.Constant(value=int() as number) if type(number) is int and number <= LARGEST_CONSTANT:
            return number
        case ast.Name(id=name) if name in names:
            return name
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int() as exponent)) if (
            type(exponent) is int and exponent <= _LARGEST_POWER
        ):
            return Op("**", (*trees(left), exponent))
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            return Op(_OPERATORS[type(operator)], trees(left, right))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return Op("negative", trees(operand))
        case ast.Compare(left=left, ops=[comparison], comparators=[right]) if type(comparison) in _OPERATORS:
            return Op(_OPERATORS[type(comparison)], trees(left, right))
        case ast.IfExp(test=condition, body=then, orelse=otherwise):
            return Op("if", trees(condition, then, otherwise))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if _CALLS.get(name) == len(args):
            return Op(name, trees(*args))
    raise ValueError(f"{ast.unparse(node)!r:.60} is no expression that can be read here")
