"""When are two programs the same? Two texts are one program if they differ in names, spacing and brackets alone, or in
the order of what may be exchanged: terms, factors, the arguments of max and min, the sides of a comparison, the two
branches of a conditional expression.
"""

from __future__ import annotations

import ast

_TURNED = {ast.Gt: ast.Lt, ast.GtE: ast.LtE}
_SIGNS = {ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!="}
_EXCHANGEABLE = ("max", "min")


def normal_form(source: str) -> str:
    """One text for all forms of a program. Raises SyntaxError."""
    tree = ast.parse(source)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            names.setdefault(node.arg, f"argument{len(names)}")
    return "\n".join(_form(statement, names) for statement in tree.body)


def _form(node: ast.AST, names: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.arg):
        return names[node.arg]
    if isinstance(node, ast.Constant):
        return repr(node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        return f"({' '.join(sorted(_terms(node, names, '+')))})"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return f"({' * '.join(sorted(_factors(node, names)))})"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return f"({' '.join(sorted(_terms(node, names, '+')))})"
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _comparison(node, names)
    if isinstance(node, ast.IfExp):
        return _conditional(node, names)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _EXCHANGEABLE:
        return f"{node.func.id}({', '.join(sorted(_form(argument, names) for argument in node.args))})"
    parts = [_form(child, names) for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr_context)]
    plain = {name: value for name, value in ast.iter_fields(node) if _is_plain(value)}
    return f"{type(node).__name__}{plain or ''}({', '.join(parts)})"


def _terms(node: ast.AST, names: dict[str, str], sign: str) -> list[str]:
    """The terms of a sum, each with its sign."""
    other = "-" if sign == "+" else "+"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        return [
            *_terms(node.left, names, sign),
            *_terms(node.right, names, sign if isinstance(node.op, ast.Add) else other),
        ]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _terms(node.operand, names, other)
    return [sign + _form(node, names)]


def _factors(node: ast.AST, names: dict[str, str]) -> list[str]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*_factors(node.left, names), *_factors(node.right, names)]
    return [_form(node, names)]


def _comparison(node: ast.Compare, names: dict[str, str]) -> str:
    left, right, operator = _form(node.left, names), _form(node.comparators[0], names), type(node.ops[0])
    if operator in _TURNED:
        left, right, operator = right, left, _TURNED[operator]
    if operator in (ast.Eq, ast.NotEq):
        left, right = sorted([left, right])
    return f"({left} {_SIGNS.get(operator, operator.__name__)} {right})"


def _conditional(node: ast.IfExp, names: dict[str, str]) -> str:
    test, then, otherwise = node.test, _form(node.body, names), _form(node.orelse, names)
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        operator = test.ops[0]
        opposite = {ast.LtE: ast.Gt, ast.GtE: ast.Lt, ast.NotEq: ast.Eq}.get(type(operator))
        if opposite is not None:
            test, then, otherwise = ast.Compare(test.left, [opposite()], test.comparators), otherwise, then
    return f"({then} if {_form(test, names)} else {otherwise})"


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int) or (isinstance(value, list) and bool(value) and isinstance(value[0], str))
