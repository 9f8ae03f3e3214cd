"""Benchmarks as held-out sets of a training recipe, and what a run was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl.errors import DataError
from reasonrl.recipe.data import SourceSpec
from reasonrl.recipe.reading import parse_recipe
from reasonrl.rewards.loading import make_verifier
from reasonrl.setup.data import load_data, load_offline_rows
from reasonrl.setup.trained_on import training_problems


def recipe_text(folder: Path, heldout: dict[str, Any]) -> str:
    rows = [
        {"source": s, "problem": f"What is {n} of {s}?", "answer": str(n)}
        for s in ("gsm8k", "math500")
        for n in range(4)
    ]
    (folder / "copy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    train = {"source": "arithmetic", "options": {"size": 12, "low": 0, "high": 30}}
    recipe = {"name": "t", "model": {"path": "tiny-arithmetic"}, "verifier": {"name": "math", "mode": "lenient"}}
    return yaml.safe_dump(recipe | {"data": {"train": train, "heldout": heldout}})


def load(folder: Path, **heldout: Any) -> Any:
    recipe = parse_recipe(recipe_text(folder, heldout), "t").stages[0]
    return load_data(recipe, make_verifier(recipe), offline=True)


@pytest.mark.parametrize("named", [{"benchmark": "math500"}, {"source": "benchmark:math500"}])
def test_a_benchmark_is_a_held_out_set(tmp_path: Path, named: dict[str, Any]) -> None:
    data = load(tmp_path, set=named | {"limit": 3, "options": {"path": str(tmp_path / "copy.jsonl")}})
    assert [problem.prompt for problem in data.heldout["set"]] == [f"What is {n} of math500?" for n in range(3)]
    assert data.reports["set"].gold_accepted == 3


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"benchmark": "math50"}, "data.heldout.set: there is no benchmark 'math50'"),
        ({"benchmark": "math500", "split": "train"}, "a benchmark has its own split, name and columns"),
        ({"benchmark": "math500", "options": {"revision": "x"}}, "revision"),
    ],
)
def test_mistakes(tmp_path: Path, named: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path, set=named)
    assert message in str(caught.value)


def test_an_offline_stage_cannot_learn_from_a_benchmark() -> None:
    with pytest.raises(DataError, match=r"data.train: benchmark:gsm8k has problems, and an offline stage needs rows"):
        load_offline_rows(SourceSpec(source="benchmark:gsm8k"), "data.train", offline=True)


def test_what_a_run_was_trained_on(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(recipe_text(tmp_path, {}), encoding="utf-8")
    problems = training_problems(tmp_path, offline=True)
    assert len(problems) == 12 and all(problem.id.startswith("arithmetic/") for problem in problems)
