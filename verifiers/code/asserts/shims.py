"""What a test text gets for modules that a sandbox need not have."""

from __future__ import annotations

import ast

from verifiers.code.types import BadTests
from verifiers.python_source import tree_of

_PYTEST = '''
class pytest:
    """The parts of pytest that tests of functions use."""

    class raises:
        def __init__(self, kinds, *call, match=None, **options):
            self.kinds, self.match, self.value, self.type = kinds, match, None, None
            if call:
                with self:
                    call[0](*call[1:], **options)

        def __enter__(self):
            return self

        def __exit__(self, kind, value, trace):
            import re

            assert kind is not None, "nothing was raised"
            self.value, self.type = value, kind
            matches = self.match is None or re.search(self.match, str(value)) is not None
            return issubclass(kind, self.kinds) and matches

    class approx:
        def __init__(self, expected, rel=None, abs=None):
            self.expected, self.rel, self.abs = expected, rel, abs

        def __eq__(self, got):
            if isinstance(self.expected, (list, tuple)):
                return len(got) == len(self.expected) and all(
                    a == pytest.approx(b, self.rel, self.abs) for a, b in zip(got, self.expected)
                )
            if isinstance(self.expected, dict):
                return got.keys() == self.expected.keys() and all(
                    got[key] == pytest.approx(value, self.rel, self.abs) for key, value in self.expected.items()
                )
            absolute = 1e-12 if self.abs is None else self.abs
            relative = (1e-6 if self.abs is None else 0) if self.rel is None else self.rel
            if self.expected in (float("inf"), -float("inf")):
                return got == self.expected
            distance = max(got - self.expected, self.expected - got)
            return got == self.expected or distance <= max(relative * max(self.expected, -self.expected), absolute)

    class _Mark:
        def __getattr__(self, name):
            return lambda *args, **options: args[0] if args and callable(args[0]) else lambda function: function

    mark = _Mark()

    @staticmethod
    def param(*values, **options):
        return values if len(values) != 1 else values[0]

    @staticmethod
    def skip(reason=""):
        raise AssertionError("skipped: " + reason)

    @staticmethod
    def fail(message=""):
        raise AssertionError(message)
'''
_PARTS = frozenset({"raises", "approx", "mark", "param", "fail", "skip"})
_NOT_MARKS = frozenset({"parametrize", "skip", "skipif", "xfail", "usefixtures"})
"""Marks that change what runs. `parametrize` of a function is written out before."""


def with_shims(script: ast.Module, label: str) -> ast.Module:
    """A text with its imports of pytest replaced by these definitions. Raises BadTests for other parts of pytest."""
    body: list[ast.stmt] = []
    used = False
    for node in script.body:
        if isinstance(node, ast.Import) and any(alias.name == "pytest" for alias in node.names):
            used = True
            names = [alias.asname for alias in node.names if alias.name == "pytest" and alias.asname]
            others = [alias for alias in node.names if alias.name != "pytest"]
            body += tree_of("".join(f"{name} = pytest\n" for name in names)).body
            body += [ast.copy_location(ast.Import(others), node)] if others else []
        elif isinstance(node, ast.ImportFrom) and node.module == "pytest":
            used = True
            body += tree_of("".join(f"{a.asname or a.name} = pytest.{a.name}\n" for a in node.names)).body
        else:
            body.append(node)
    for node in body if used else ():
        _refuse_others(node, label)
    return ast.Module([*tree_of(_PYTEST).body, *body], []) if used else script


def _refuse_others(statement: ast.stmt, label: str) -> None:
    for node in ast.walk(statement):
        if not isinstance(node, ast.Attribute):
            continue
        owner = ast.unparse(node.value)
        if (owner == "pytest" and node.attr not in _PARTS) or (owner == "pytest.mark" and node.attr in _NOT_MARKS):
            raise BadTests(
                f"{label} uses {owner}.{node.attr}, which needs pytest itself; write functions that assert, with "
                "pytest.raises, pytest.approx and pytest.mark.parametrize"
            )
