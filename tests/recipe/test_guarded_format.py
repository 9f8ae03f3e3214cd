"""A critique format of the user's own: what it raises or returns is one message with its line."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from critics.formats import CritiqueFormat
from critics.types import Solution
from critics.verifier import CritiqueVerifier
from reasonrl.errors import RecipeError, TrainingError
from reasonrl.recipe.critics import FormatSpec
from reasonrl.recipe.reading import parse_recipe
from verifiers.types import Problem

HEAD = """
from dataclasses import dataclass
from critics.formats.boxed_index import BoxedIndex

@dataclass(frozen=True, kw_only=True)
class Mine(BoxedIndex):
    extra: int = 0
"""
SOLUTION = Solution("p", "a\nb", ("a", "b"), "3", True, first_error=-1)

Load = Callable[[str], Any]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = f"format_{tmp_path.name.replace('-', '_')}"

    def loaded(code: str) -> Any:
        (tmp_path / f"{name}.py").write_text(code)
        return FormatSpec(name=f"{name}:Mine").load()

    return loaded


def test_a_format_that_works_is_used_as_it_is(load: Load) -> None:
    format = load(HEAD)
    assert isinstance(format, CritiqueFormat)
    assert getattr(format, "extra") == 0  # noqa: B009
    text = format.write(SOLUTION)
    assert CritiqueVerifier(format).verify([text], [{"solution": "a\nb", "steps": ["a", "b"], "first_error": -1}])
    for copied in (copy.deepcopy(format), pickle.loads(pickle.dumps(format))):
        assert copied.parse(text, 2) == format.parse(text, 2)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("def parse(self, text, steps=None): return {}['x']", r"parse: KeyError: 'x' \(format_.*\.py, line 8\)$"),
        ("def parse(self, text, steps=None): return None", "parse: returned None; return a value of type Critique"),
        ("def parse(self, text, steps=None): raise ValueError('no')", r"parse: ValueError: no \(format_"),
        ("def parse(self, text): ...", r"parse: TypeError: .*takes 2 positional arguments but 3 were given"),
    ],
)
def test_what_a_method_raises_or_returns_is_one_message(load: Load, method: str, message: str) -> None:
    with pytest.raises(TrainingError, match=r"^format: Mine\." + message):
        load(f"{HEAD}    {method}\n").parse("x", 2)


def test_rendering_gets_a_copy_of_the_problem(load: Load) -> None:
    problem = Problem("p", "1 + 2", "math", {"answer": "3"}, "", {"question": "1 + 2"})
    format = load(
        f"{HEAD}    def render(self, problem, solution):\n        problem.reference.clear()\n        return []\n"
    )
    assert format.render(problem, SOLUTION) == []
    assert problem.reference == {"answer": "3"}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0\n", r"cannot be loaded: ZeroDivisionError: division by zero \(format_.*\.py, line 1\)"),
        ("exit(0)\n", r"cannot be loaded: sys\.exit\(0\) was called \(format_"),
        ("class Mine:\n", "cannot be loaded: (IndentationError|SyntaxError)"),
        ("Mine = 3\n", "is not a subclass of"),
    ],
)
def test_what_its_module_raises_is_a_mistake_in_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = f"format_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(code)
    text = f"name: n\ndata: {{train: {{source: arithmetic}}}}\ncritic: {{format: '{name}:Mine'}}\n"
    with pytest.raises(RecipeError, match=rf"critic\.format.*{message}"):
        parse_recipe(text, "r")
