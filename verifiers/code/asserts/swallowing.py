"""A test that passes over its own asserts, so that every program would pass.

try: assert f(1) == 2              with suppress(AssertionError):      try: check(1, 2)
except AssertionError: print()         assert f(1) == 2                finally: return
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from verifiers.code.asserts.raising import SWALLOW, fails

_EXITS = ("exit", "sys.exit", "quit", "os._exit", "pytest.fail", "self.fail")
_SUPPRESS = ("suppress", "contextlib.suppress")


def swallows(tree: ast.Module) -> bool:
    """Whether some assert holds for every program, because an `except`, a `finally` or a `suppress` passes over it."""
    counted = counted_names(tree)
    answers = _that_answer(tree, counted)
    bodies = [
        node.body
        for node in ast.walk(tree)
        if isinstance(node, ast.Try | ast.With) and _is_deaf(node, counted) and id(node) not in answers
    ]
    if not bodies:
        return False
    asserting = _asserting(tree)
    return any(_can_fail(body, asserting) for body in bodies)


def passes_over(node: ast.Try, counted: frozenset[str]) -> bool:
    """Whether an `except` of this `try` passes over an assert. `counted`: as `counted_names` gives them."""
    return any(_passes(handler, counted) for handler in node.handlers)


def counted_names(tree: ast.Module) -> frozenset[str]:
    """Names by which a test remembers what failed, and fails in the end: `assert not failed`, `if failed: raise`,
    `sys.exit(len(failures))`. What only a `print` reads is none.
    """
    within = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Try)
        for each in node.body
        for part in ast.walk(each)
    }
    read: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in within:
            continue
        if isinstance(node, ast.Assert) or (isinstance(node, ast.If) and any(map(_ends_badly, ast.walk(node)))):
            read |= _names(node.test)
        elif isinstance(node, ast.Call) and (ast.unparse(node.func) in _EXITS or _asserts(node.func, ())):
            read |= {name for argument in node.args for name in _names(argument)}
    return frozenset(read)


def _ends_badly(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise | ast.Assert) or (
        isinstance(node, ast.Call) and (ast.unparse(node.func) in _EXITS or _asserts(node.func, ()))
    )


def _that_answer(tree: ast.Module, counted: frozenset[str]) -> set[int]:
    """The `try`s of `def run(): try: check(f) except AssertionError: return False`, where `assert run()` follows."""
    return {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name in counted
        for part in ast.walk(node)
        if isinstance(part, ast.Try)
        and all(any(isinstance(each, ast.Return) and each.value for each in handler.body) for handler in part.handlers)
    }


def _is_deaf(node: ast.Try | ast.With, counted: frozenset[str]) -> bool:
    if isinstance(node, ast.With):
        return any(_suppresses(item.context_expr) for item in node.items)
    leaves = any(isinstance(part, ast.Return | ast.Break | ast.Continue) for part in node.finalbody)
    return leaves or passes_over(node, counted)


def _passes(handler: ast.ExceptHandler, counted: frozenset[str]) -> bool:
    parts = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    if not any(part is None or ast.unparse(part) in SWALLOW for part in parts):
        return False
    return not any(_ends_badly(part) or _counts(part, counted) for part in ast.walk(handler))


def _counts(node: ast.AST, counted: frozenset[str]) -> bool:
    """`failed = True`, `failed += 1`, `failures.append(...)`"""
    if isinstance(node, ast.Name):
        return isinstance(node.ctx, ast.Store) and node.id in counted
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    return node.func.attr in ("append", "add", "extend") and bool(_names(node.func.value) & counted)


def _suppresses(manager: ast.expr) -> bool:
    if not isinstance(manager, ast.Call) or ast.unparse(manager.func) not in _SUPPRESS:
        return False
    return any(ast.unparse(kind) in SWALLOW for kind in manager.args)


def _asserting(tree: ast.Module) -> frozenset[str]:
    """Functions of the text in which an assert may fail. One that runs by itself, `test_f()`, is none: it does so
    whatever else calls it.
    """
    definitions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    functions: set[str] = set()
    while True:
        more = {node.name for node in definitions if _can_fail(node.body, functions)} - functions
        if not more:
            return frozenset(name for name in functions if not name.startswith("test"))
        functions |= more


def _can_fail(body: Iterable[ast.stmt], asserting: Iterable[str]) -> bool:
    for part in (part for statement in body for part in ast.walk(statement)):
        if isinstance(part, ast.Assert) and not fails(part):
            return True
        if isinstance(part, ast.Call) and _asserts(part.func, asserting):
            return True
    return False


def _asserts(function: ast.expr, asserting: Iterable[str]) -> bool:
    if isinstance(function, ast.Attribute):
        return function.attr.startswith("assert") and not function.attr.startswith("assertRaises")
    return isinstance(function, ast.Name) and function.id in asserting


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
