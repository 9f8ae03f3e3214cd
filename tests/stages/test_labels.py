"""Labels by completion: from a scripted policy that goes on rightly they are the exact ones, whoever completes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from critics.types import Solution
from reasonrl.data.step_sums import first_error
from reasonrl.environments.roles import ServedFailure
from reasonrl.errors import RecipeError, TrainingError
from reasonrl.recipe.reading import load_recipe
from reasonrl.recipe.schema import Recipe
from reasonrl.stages.labels import Attempt, MonteCarloLabeller
from reasonrl.stages.run import train
from tests.engines.fake_server import running
from tests.tiny_runs import rows, write_recipe
from verifiers.loading import load_verifier
from verifiers.types import Problem


def recipe(folder: Path, **collect: Any) -> Recipe:
    data = {
        "name": "labels",
        "seed": 1,
        "threads": 1,
        "model": {"path": "tiny-critic"},
        "verifier": {"name": "math", "mode": "lenient"},
        "rollout": {"engine": "tests.environments.fake_engines:Completing", "max_new_tokens": 48},
        "stages": [
            {
                "name": "solutions",
                "kind": "collect",
                "data": {"train": {"source": "step_arithmetic", "options": {"size": 40, "terms": 4, "high": 9}}},
                "collect": {
                    "samples_per_problem": 3,
                    "steps": "lines",
                    "labeller": "monte_carlo",
                    "balance": "none",
                    **collect,
                },
            }
        ],
    }
    return load_recipe(str(write_recipe(folder, data)))


@pytest.mark.parametrize("completer", [None, "same", {"model": "tiny-critic", "temperature": 0.7}])
def test_labels_are_the_exact_ones(tmp_path: Path, completer: Any) -> None:
    train(recipe(tmp_path, completer=completer), tmp_path / "run", offline=True, quiet=True)
    made = rows(tmp_path / "run" / "stages" / "01-solutions" / "train.jsonl")
    labels = [row["reference"]["first_error"] for row in made]
    assert labels == [first_error(row["meta"]["question"], row["reference"]["steps"]) for row in made]
    assert len(made) >= 60 and len(set(labels)) == 4, "every step is the first wrong one of some solution"


@pytest.mark.slow
def test_a_completer_behind_a_server(tmp_path: Path) -> None:
    with running() as server:
        url = f"http://127.0.0.1:{server.server_port}/v1"
        server.mode = "refused"
        with pytest.raises(TrainingError, match=r"not answered \(first: .*context too long.* steps not labelled"):
            train(recipe(tmp_path, completer=url), tmp_path / "run", offline=True, quiet=True)
        asked = [row["messages"] for row in server.asked]
    assert all(messages[0]["role"] == "user" for messages in asked)
    assert {messages[-1]["role"] for messages in asked} == {"user", "assistant"}, (
        "the bare problem, and begun solutions"
    )


def test_who_did_not_answer_is_not_a_failure_of_the_prefix() -> None:
    """A prefix is judged by the completions that came; one without any has no label, and neither has its solution."""
    problem = Problem("p", "1 + 1 + 1", "math", {"answer": "3"})
    solution = Solution("p", "1 + 1 = 3\n3 + 1 = 4", ("1 + 1 = 3", "3 + 1 = 4"), "4", False)

    missing = ServedFailure("no answer within 1 s")

    def half(rows: Any) -> list[str | ServedFailure]:
        return [missing if i % 2 else ("\n3 + 1 = 4" if begun else "2\n3") for i, ((_, begun), _) in enumerate(rows)]

    def silent(rows: Any) -> list[str | ServedFailure]:
        return [missing for _ in rows]

    verifier, attempts = load_verifier("math", mode="lenient"), [Attempt(problem, solution)]
    labels = MonteCarloLabeller(half, verifier, completions_per_step=4).label(attempts, seed=(1,))
    assert labels.first_errors == [0]
    assert labels.counts == {"completions not answered (first: no answer within 1 s)": 6}, (
        "half of four from each of three beginnings"
    )
    labels = MonteCarloLabeller(silent, verifier, completions_per_step=4).label(attempts, seed=(1,))
    assert labels.first_errors == [None]


def test_a_completer_without_its_labeller(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"collect.completer .*only labeller: monte_carlo completes steps"):
        recipe(tmp_path, labeller=None, completer="same")
