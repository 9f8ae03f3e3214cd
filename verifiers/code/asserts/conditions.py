"""The check that a condition of a test asks for, once the program's call in it has been replaced by a name.

_result_ == 3                          Equals(3)
abs(_result_ - 0.5) < 1e-6             Close(0.5, 1e-06)
sorted(_result_)[0] in ("a", "b")      Holds: evaluated in the caller's process
"""

from __future__ import annotations

import ast
from typing import Any

from verifiers.code.asserts.holds import HOLE, Holds
from verifiers.code.asserts.literals import FAILURES, NotPlain, value_of
from verifiers.code.asserts.tables import METHODS, TYPES
from verifiers.code.comparison.checks import (
    Close,
    Compared,
    Contains,
    Differs,
    Equals,
    IsInstance,
    OneOf,
    Truthy,
    ValueCheck,
)
from verifiers.sandbox.values import MAX_DEPTH

_MIRRORED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.Eq, ast.NotEq: ast.NotEq, ast.Is: ast.Is, ast.IsNot: ast.IsNot,
    ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE,
}  # fmt: skip
_SIGNS: dict[type[ast.cmpop], Any] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
METHOD_NAMES = {name for methods in METHODS.values() for name in methods} | {"real", "imag", "__name__"}
_PLAIN_TYPES = frozenset({bool, int, float, complex, str, bytes, type(None)})


def check_for(condition: ast.expr, text: str) -> ValueCheck:
    """The check of a condition over the name HOLE; `text` is its source, for messages. Raises NotPlain."""
    if _is_hole(condition):
        return Truthy()
    if isinstance(condition, ast.UnaryOp) and isinstance(condition.op, ast.Not) and _is_hole(condition.operand):
        return Truthy(expected=False)
    if isinstance(condition, ast.Compare) and len(condition.ops) == 1:
        check = _comparison(condition.left, condition.ops[0], condition.comparators[0])
        if check is not None:
            return check
    if isinstance(condition, ast.Call) and isinstance(condition.func, ast.Name):
        check = _call(condition)
        if check is not None:
            return check
    _refuse_unknown(condition)
    return Holds(text, condition)


def _is_hole(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == HOLE


def has_hole(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Name) and part.id == HOLE for part in ast.walk(node))


def _comparison(left: ast.expr, operation: ast.cmpop, right: ast.expr) -> ValueCheck | None:
    kind = type(operation)
    if isinstance(operation, ast.In | ast.NotIn):
        return _membership(left, right, negated=isinstance(operation, ast.NotIn))
    if has_hole(right) and not has_hole(left):
        left, right, kind = right, left, _MIRRORED[kind]
    if has_hole(right):
        return None
    known = value_of(right)
    if isinstance(known, type):
        return None
    known = plain(known, "what the call is compared with")
    if (near := _distance(left, kind, known)) is not None:
        return near
    if not _is_hole(left):
        return None
    if kind is ast.Eq:
        return OneOf((known, int(known))) if isinstance(known, bool) else Equals(known)
    if kind is ast.NotEq:
        return Differs(known)
    if kind in (ast.Is, ast.IsNot):
        if known is not None and not isinstance(known, bool):
            raise NotPlain("`is` between values")
        return Equals(known) if kind is ast.Is else Differs(known)
    return Compared(_SIGNS[kind], known)


def _membership(left: ast.expr, right: ast.expr, *, negated: bool) -> ValueCheck | None:
    if _is_hole(left) and not has_hole(right):
        options = plain(value_of(right), "what stands after `in`")
        if isinstance(options, list | tuple | set | frozenset | dict):
            return OneOf(tuple(options), negated=negated)
    if _is_hole(right) and not has_hole(left):
        return Contains(plain(value_of(left), "what stands before `in`"), negated=negated)
    return None


def _distance(left: ast.expr, kind: type[ast.cmpop], bound: Any) -> Close | None:
    """`abs(_result_ - expected) < bound`."""
    if kind not in (ast.Lt, ast.LtE) or not isinstance(left, ast.Call) or len(left.args) != 1 or left.keywords:
        return None
    if not isinstance(left.func, ast.Name) or left.func.id not in ("abs", "math.fabs", "numpy.abs"):
        return None
    gap = left.args[0]
    if not isinstance(gap, ast.BinOp) or not isinstance(gap.op, ast.Sub):
        return None
    first, second = (gap.right, gap.left) if _is_hole(gap.right) else (gap.left, gap.right)
    if not _is_hole(first) or has_hole(second):
        return None
    expected = value_of(second)
    if type(expected) not in (int, float) or type(bound) not in (int, float):
        return None
    return Close(expected, bound, inclusive=kind is ast.LtE)


def _call(node: ast.Call) -> ValueCheck | None:
    assert isinstance(node.func, ast.Name)
    if node.func.id == "isinstance" and len(node.args) == 2 and _is_hole(node.args[0]):
        kinds = value_of(node.args[1])
        names = tuple(kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))
        return IsInstance(names) if set(names) <= TYPES.keys() else None
    if node.func.id == "math.isclose" and len(node.args) == 2:
        first, second = reversed(node.args) if _is_hole(node.args[1]) else node.args
        options = {keyword.arg: value_of(keyword.value) for keyword in node.keywords}
        if _is_hole(first) and not has_hole(second) and options.keys() <= {"rel_tol", "abs_tol"}:
            expected = value_of(second)
            absolute, relative = options.get("abs_tol", 0.0), options.get("rel_tol", 1e-9)
            if type(expected) in (int, float) and all(type(each) in (int, float) for each in (absolute, relative)):
                if min(absolute, relative) < 0:
                    raise NotPlain("a tolerance below 0")
                return Close(expected, absolute, relative)
    return None


def _refuse_unknown(condition: ast.expr) -> None:
    """Raises NotPlain for a condition that could not be evaluated for any value: a name or a node that is unknown."""
    local = {part.arg for part in ast.walk(condition) if isinstance(part, ast.arg)}
    local |= {part.id for part in ast.walk(condition) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    for part in ast.walk(condition):
        if isinstance(part, ast.Name) and part.id != HOLE and part.id not in local:
            value_of(part)
        elif isinstance(part, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr):
            raise NotPlain(f"a {type(part).__name__} in a test")
        elif isinstance(part, ast.Attribute) and part.attr not in METHOD_NAMES:
            raise NotPlain(f"the attribute {part.attr}")


def plain(value: Any, what: str, depth: int = 0) -> Any:
    """The value, with each range in it as a list. Raises NotPlain if it is of other than built-in types."""
    if depth > MAX_DEPTH - 10:
        raise NotPlain(f"{what} is nested too deeply")
    kind = type(value)
    if kind in _PLAIN_TYPES:
        return value
    if kind is range:
        return list(value)
    if kind in (list, tuple, set, frozenset):
        if _PLAIN_TYPES.issuperset(map(type, value)):
            return kind(value)
        return kind(plain(item, what, depth + 1) for item in value)
    if kind is dict:
        return {plain(key, what, depth + 1): plain(item, what, depth + 1) for key, item in value.items()}
    raise NotPlain(f"{what} is a {kind.__name__}")


__all__ = ["FAILURES", "check_for", "has_hole", "plain"]
