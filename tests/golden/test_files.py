"""The files hold what the reference gives, the reference is independent, and no method is without a case."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import pytest

from reasonrl.algorithms.catalogue import ADVANTAGES, LOSSES
from tests.golden import reference
from tests.golden.files import FOLDER, all_cases, golden_files, read_cases, text_of

WRITE = "after a change of an input: python -m tests.golden.reference"


def same(value: Any, expected: Any) -> bool:
    """Equal but for the last decimals, which depend on the C library."""
    if isinstance(expected, dict):
        return value.keys() == expected.keys() and all(same(value[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(value) == len(expected) and all(map(same, value, expected))
    if isinstance(expected, float) and isinstance(value, float):
        return abs(value - expected) <= 1e-11
    return type(value) is type(expected) and value == expected


@pytest.mark.parametrize("path", golden_files(), ids=lambda path: path.name)
def test_a_file_holds_what_the_reference_gives(path: Path) -> None:
    cases = read_cases(path)
    differing = [c["id"] for c in cases if not same(reference.expected(c["method"], c["input"]), c["expected"])]
    assert not differing, f"{differing}: {WRITE}"
    assert path.read_text(encoding="utf-8") == text_of(cases), WRITE


@pytest.mark.parametrize("path", sorted((FOLDER / "reference").glob("*.py")), ids=lambda path: path.name)
def test_the_reference_imports_the_standard_library_alone(path: Path) -> None:
    roots = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            roots |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add(node.module or "")
    foreign = [name for name in roots if name.split(".")[0] not in sys.stdlib_module_names]
    assert [name for name in foreign if not name.startswith("tests.golden")] == []


def test_every_method_has_a_case() -> None:
    assert reference.ADVANTAGES.keys() == ADVANTAGES.keys()
    assert {**reference.TOKEN_LOSSES, **reference.ROW_LOSSES}.keys() == LOSSES.keys()
    assert {case["method"] for case in all_cases().values()} == reference.REFERENCES.keys()


def test_every_advantage_is_tried_on_unjudged_rows_equal_rewards_and_groups_of_one() -> None:
    for name in ADVANTAGES:
        groups: list[dict[str, list[float | None]]] = []
        for case in all_cases().values():
            if case["method"] == name:
                by_name: dict[str, list[float | None]] = {}
                for group, reward in zip(case["input"]["groups"], case["input"]["rewards"], strict=True):
                    by_name.setdefault(group, []).append(reward)
                groups.append(by_name)
        rows = [rewards for by_name in groups for rewards in by_name.values()]
        assert any(len({len(rewards) for rewards in by_name.values()}) > 1 for by_name in groups), "ragged"
        assert any(None in rewards and set(rewards) != {None} for rewards in rows), "a group judged in part"
        assert any(set(rewards) == {None} for rewards in rows), "a group of which nothing was judged"
        assert any(len(rewards) > 1 and len(set(rewards)) == 1 for rewards in rows), "equal rewards"
        assert any(len(rewards) == 1 and rewards != [None] for rewards in rows), "a group of one"
