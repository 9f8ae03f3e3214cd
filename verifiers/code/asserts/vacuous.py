"""Tests that every program would pass are mistakes of the data, and are refused."""

from __future__ import annotations

import ast

from verifiers.code.asserts.swallowing import swallows
from verifiers.code.asserts.unittests import test_classes
from verifiers.code.types import BadTests

WRITE = 'write Python assert statements, e.g. "assert add(1, 2) == 3"'


def refuse_vacuous(tree: ast.Module, label: str) -> None:
    """Raises BadTests for a text that asserts nothing, or asserts in a way that always holds."""
    if not _asserts(tree):
        raise BadTests(f"{label} asserts nothing, so every program would pass; {WRITE}")
    for part in ast.walk(tree):
        if isinstance(part, ast.Assert) and _is_filled_tuple(part.test):
            raise BadTests(
                f"{label}: `assert (condition, message)` holds for every program; write it without parentheses"
            )
    if swallows(tree):
        raise BadTests(
            f"{label}: a `try` or a `suppress` passes over the assert in it, so every program would pass; let it raise"
        )


def refuse_uncalled(script: ast.Module, label: str) -> None:
    """Raises BadTests for a text whose asserts all stand in functions that nothing calls."""
    read = {part.id for part in ast.walk(script) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}
    classes = test_classes(script)
    for node in script.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            runs = node.name in read
        else:
            runs = not isinstance(node, ast.ClassDef) or node.name in read or node in classes
        if runs and _asserts(node):
            return
    raise BadTests(f"{label} asserts in functions that nothing calls, so every program would pass; {WRITE}")


def _is_filled_tuple(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, tuple) and bool(node.value)
    return isinstance(node, ast.Tuple) and bool(node.elts)


def _asserts(tree: ast.AST) -> bool:
    """Whether anything in the text can fail."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert | ast.Raise):
            return True
        if isinstance(node, ast.Attribute) and (node.attr.startswith("assert") or node.attr in ("raises", "fail")):
            return True
        if isinstance(node, ast.Name) and node.id in ("raises", "assertion"):
            return True
    return False
