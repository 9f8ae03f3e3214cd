"""A name says what the value is, never how it came about (CONTRIBUTING.md): no variable, parameter or loop target has
one of the names below, except inside a comprehension or a lambda of one line.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("reasonrl", "verifiers", "critics")
_ORIGINS = ["made", "found", "told", "said", "kept", "everything", "rest", "own", "ours", "theirs", "begun", "asked"]
_PREPOSITIONS = ["of", "at", "by", "on"]
FORBIDDEN = frozenset([*_ORIGINS, *_PREPOSITIONS])
_SCOPES_OF_ONE_LINE = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)


def bound_names(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of everything that is bound in a tree, without comprehensions and lambdas of one line."""
    if isinstance(node, _SCOPES_OF_ONE_LINE) and node.lineno == node.end_lineno:
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.lineno, node.id
    elif isinstance(node, ast.arg):
        yield node.lineno, node.arg
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        yield node.lineno, node.name
    elif isinstance(node, ast.alias) and node.asname:
        yield node.lineno, node.asname
    for child in ast.iter_child_nodes(node):
        yield from bound_names(child)


def forbidden_names(path: Path, label: str) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [f"{label}:{line} {name}" for line, name in bound_names(tree) if name in FORBIDDEN]


@pytest.mark.parametrize("package", PACKAGES)
def test_names_say_what_a_value_is(package: str) -> None:
    paths = sorted((ROOT / package).rglob("*.py"))
    assert paths
    wrong = [line for path in paths for line in forbidden_names(path, path.relative_to(ROOT).as_posix())]
    assert not wrong, "rename to what the value is:\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("x = 1\nfound = 2", 2),
        ("def f(*, of: int) -> None: ...", 1),
        ("for at in (1, 2): ...", 1),
        ("for first, (rest, last) in (): ...", 1),
        ("while (kept := next(lines)): ...", 1),
        ("with open('x') as made: ...", 1),
        ("class C:\n    own: int = 0", 2),
        ("x = [\n    said\n    for said in y\n]", 3),
        ("try: ...\nexcept OSError as told: ...", 2),
        ("import numpy as theirs", 1),
    ],
)
def test_every_way_to_bind_a_name_is_seen(tmp_path: Path, source: str, line: int) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    (wrong,) = forbidden_names(path, "module.py")
    assert wrong.startswith(f"module.py:{line} ")


@pytest.mark.parametrize("source", ["x = [said for said in y]", "f = lambda at: at + 1", "g(of=1)", "x.rest = 1"])
def test_what_is_allowed(tmp_path: Path, source: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert not forbidden_names(path, "module.py")


def test_only_what_belongs_to_no_room_is_a_loose_module() -> None:
    loose = {path.stem for path in (ROOT / "reasonrl").glob("*.py")}
    assert loose == {"__init__", "__main__", "_installation", "cli", "errors", "plugins", "stats", "words"}
