"""The catalogue: every declaration is true of its function, and no other place knows a method by its name."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reasonrl.algorithms.catalogue import ADVANTAGES, DEFAULT_ADVANTAGE, DEFAULT_LOSS, LOSSES, ROW_WEIGHT_LOSS

ROOT = Path(__file__).parents[2]
NAMES = (*ADVANTAGES, *LOSSES)

EXEMPT = {
    ("reasonrl/stages/offline.py", "gspo"): "the loss of this stage is built on it",
    (
        "reasonrl/verl_backend/settings.py",
        "grpo",
    ): "verl's own key algorithm.adv_estimator, which our trainer never asks",
}
"""(file, name) of code that may know a method, and why."""


@pytest.mark.parametrize("name", ADVANTAGES)
def test_an_advantage_takes_what_it_is_said_to_need(name: str) -> None:
    parameters = inspect.signature(ADVANTAGES[name].load()).parameters
    assert set(ADVANTAGES[name].needs) <= set(parameters)
    given = {"rewards", "group", "judged", *ADVANTAGES[name].needs}
    assert {key for key, parameter in parameters.items() if parameter.default is parameter.empty} <= given


@pytest.mark.parametrize("name", [name for name in LOSSES if LOSSES[name].level != "group"])
def test_a_loss_takes_what_it_is_said_to_take(name: str) -> None:
    parameters = inspect.signature(LOSSES[name].load()).parameters
    given = {"logprobs", "advantages", *LOSSES[name].takes}
    assert given <= set(parameters)
    assert {key for key, parameter in parameters.items() if parameter.default is parameter.empty} <= given


def test_defaults_are_in_the_catalogue() -> None:
    assert DEFAULT_ADVANTAGE in ADVANTAGES
    assert DEFAULT_LOSS in LOSSES and ROW_WEIGHT_LOSS in LOSSES
    assert LOSSES[ROW_WEIGHT_LOSS].level == "token"
    assert not set(ADVANTAGES) & set(LOSSES)


def test_every_method_has_a_file_of_its_own_that_says_where_it_is_from() -> None:
    for package, declarations in (("advantages", ADVANTAGES), ("losses", LOSSES)):
        for facts in declarations.values():
            module = facts.function.partition(":")[0]
            text = (ROOT / "reasonrl" / "algorithms" / package / f"{module}.py").read_text()
            assert ast.get_docstring(ast.parse(text))


def test_the_catalogue_needs_no_torch() -> None:
    code = "import reasonrl.recipe.reading, reasonrl.algorithms.catalogue, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_no_other_code_knows_a_method_by_its_name() -> None:
    mentions = {
        (str(file.relative_to(ROOT)), name)
        for package in ("reasonrl", "verifiers", "critics")
        for file in sorted((ROOT / package).rglob("*.py"))
        if not file.is_relative_to(ROOT / "reasonrl" / "algorithms")
        for text in texts_in(file)
        for name in re.findall(rf"\b({'|'.join(NAMES)})\b", text)
    }
    assert sorted(mentions - set(EXEMPT)) == []
    assert sorted(set(EXEMPT) - mentions) == [], "exemptions that nothing needs any more"


def texts_in(file: Path) -> Iterator[str]:
    """The texts in a file's code, and what it imports; docstrings are documentation."""
    tree = ast.parse(file.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
