"""The ways in which a test says that a call must raise.

try: f(0); assert False          with pytest.raises(ValueError):        self.assertRaises(ValueError, f, 0)
except ValueError: pass              f(0)
"""

from __future__ import annotations

import ast

from verifiers.code.asserts.meaning import Unconvertible

SWALLOW = frozenset({"AssertionError", "Exception", "BaseException"})
"""A handler for one of these catches the assert of its own test too. `try: f(0); assert False; except Exception: pass`
is read as it is meant: the call must raise.
"""
_RAISES = frozenset({"pytest.raises", "raises", "self.assertRaises"})


def expected_exceptions(node: ast.Try | ast.With) -> tuple[tuple[str, ...], ast.stmt]:
    """The names of the exceptions, and the statement that must raise one. Raises Unconvertible."""
    if isinstance(node, ast.With):
        return _with(node)
    statement, *others = node.body
    must_raise = any(fails(other) for other in others) or any(fails(other) for other in node.orelse)
    if not must_raise or not all(fails(other) for other in others) or node.finalbody or len(node.handlers) != 1:
        raise Unconvertible("a `try` that does not say that a call must raise")
    handler = node.handlers[0]
    if not all(isinstance(part, ast.Pass) or _is_true(part) for part in handler.body):
        raise Unconvertible("an `except` that looks at the exception")
    names = _names(handler.type)
    if "AssertionError" in names:
        raise Unconvertible("an `except` for the assert itself")
    return names, statement


def raising_statement(node: ast.Call) -> tuple[tuple[str, ...], ast.expr] | None:
    """The same for `self.assertRaises(ValueError, f, 0)`; None for any other call."""
    if _text(node.func) not in _RAISES or len(node.args) < 2:
        return None
    return _names(node.args[0]), ast.copy_location(ast.Call(node.args[1], node.args[2:], node.keywords), node)


def _with(node: ast.With) -> tuple[tuple[str, ...], ast.stmt]:
    manager = node.items[0].context_expr
    if len(node.items) != 1 or not isinstance(manager, ast.Call):
        raise Unconvertible("a With statement")
    if _text(manager.func) == "self.subTest":
        return ("subTest",), node.body[0]
    if _text(manager.func) not in _RAISES or len(manager.args) != 1 or manager.keywords or len(node.body) != 1:
        raise Unconvertible("a With statement")
    return _names(manager.args[0]), node.body[0]


def _text(node: ast.expr) -> str:
    return ast.unparse(node)


def _names(node: ast.expr | None) -> tuple[str, ...]:
    if node is None:
        return ()
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    if not all(isinstance(part, ast.Name) for part in parts):
        raise Unconvertible("an exception that is not a name")
    return tuple(part.id for part in parts if isinstance(part, ast.Name))


def _is_true(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant) and bool(node.test.value)


def fails(node: ast.stmt) -> bool:
    """`assert False`, `raise AssertionError(...)`, `self.fail(...)`, `pytest.fail(...)`."""
    if isinstance(node, ast.Assert):
        return isinstance(node.test, ast.Constant) and not node.test.value
    if isinstance(node, ast.Raise) and node.exc is not None:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return _text(raised) == "AssertionError"
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return _text(node.value.func) in ("self.fail", "pytest.fail")
    return False
