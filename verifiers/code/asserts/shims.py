"""What a test text gets for modules that a sandbox need not have."""

from __future__ import annotations

import ast

_PYTEST = '''
class pytest:
    """The parts of pytest that tests of functions use."""

    class raises:
        def __init__(self, kinds, match=None):
            self.kinds, self.match, self.value = kinds, match, None

        def __enter__(self):
            return self

        def __exit__(self, kind, value, trace):
            import re

            assert kind is not None, "nothing was raised"
            self.value = value
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

    @staticmethod
    def fail(message=""):
        raise AssertionError(message)
'''


def with_shims(script: ast.Module) -> ast.Module:
    """A text with its imports of pytest replaced by these definitions."""
    body: list[ast.stmt] = []
    used = False
    for node in script.body:
        if isinstance(node, ast.Import) and [alias.name for alias in node.names] == ["pytest"]:
            used = True
            name = node.names[0].asname
            body += ast.parse(f"{name} = pytest").body if name else []
        elif isinstance(node, ast.ImportFrom) and node.module == "pytest":
            used = True
            body += ast.parse("".join(f"{a.asname or a.name} = pytest.{a.name}\n" for a in node.names)).body
        else:
            body.append(node)
    return ast.Module([*ast.parse(_PYTEST).body, *body], []) if used else script
