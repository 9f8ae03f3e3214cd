"""A dry run calls the labeller and the demonstrator of a stage of kind collect on a gold and on a wrong solution."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reasonrl.errors import RecipeError
from reasonrl.plan.collect_probe import check_collecting, probe_collecting
from reasonrl.recipe.reading import parse_recipe
from reasonrl.rewards.loading import make_verifier
from tests.tiny_runs import tiny
from verifiers.types import Problem

Probe = Callable[..., list[str]]
PROBLEM = Problem("p0", "1 + 1", "math", {"answer": "2"}, meta={"question": "1 + 1"})


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Probe:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = f"collects_{tmp_path.name.replace('-', '_')}"

    def call(code: str, **collect: Any) -> list[str]:
        (tmp_path / f"{name}.py").write_text(code)
        text = json.dumps(tiny(kind="collect", train={}, collect=collect)).replace("CODE", name)
        recipe = parse_recipe(text, "r").stages[0]
        check_collecting(recipe)
        return probe_collecting(recipe, make_verifier(recipe), [PROBLEM])

    return call


LABEL = "def label(problem, solution):\n    "
SHOW = "def show(problem, solution, format):\n    "


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 'first'", "collect.labeller: returned 'first' for a solution of problem p0 with 1 steps"),
        ("return 7", "collect.labeller: returned 7 for a solution"),
        ("return float('nan')", "collect.labeller: returned nan for a solution"),
        ("return True", "collect.labeller: returned True for a solution"),
        ("return -1 if int(solution.text) else 0", "collect.labeller: ValueError: invalid literal"),
        ("return problem.meta['steps']", "collect.labeller: KeyError: 'steps' (collects_"),
    ],
)
def test_a_labeller_that_would_stop_the_run_is_refused(probe: Probe, body: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        probe(LABEL + body, labeller="CODE:label", steps="lines")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("labeller", [None, "monte_carlo", "CODE:label"])
@pytest.mark.parametrize(("body", "message"), [("return None", "returned None for"), ("1 / 0", "ZeroDivisionError")])
def test_a_demonstrator_that_would_stop_the_run_is_refused(
    probe: Probe, labeller: str | None, body: str, message: str
) -> None:
    code = LABEL + "return -1 if solution.correct else 0\n" + SHOW + body
    with pytest.raises(RecipeError, match=rf"^collect\.demonstrator: {message}"):
        probe(code, labeller=labeller, demonstrator="CODE:show", steps="lines")


def test_sound_functions_are_called_on_labelled_solutions_and_judges_may_be_elsewhere(probe: Probe) -> None:
    code = LABEL + "return -1 if solution.correct else 0\n" + SHOW + "return str([solution.first_error][0] + 0)"
    assert probe(code, labeller="CODE:label", demonstrator="CODE:show", steps="lines") == []


def test_a_labeller_that_knows_nothing_leaves_nothing_to_demonstrate(probe: Probe) -> None:
    assert probe(LABEL + "return None\n" + SHOW + "1 / 0", labeller="CODE:label", demonstrator="CODE:show") == []


def test_a_server_that_does_not_answer_is_listed(probe: Probe) -> None:
    (untried,) = probe(LABEL + "raise ConnectionRefusedError('no judge')", labeller="CODE:label")
    assert untried.startswith("collect.labeller: ConnectionRefusedError: no judge (collects_")
