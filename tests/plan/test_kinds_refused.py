"""What a stage of a kind would refuse when it runs, its dry run refuses too, with the same sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl.commands.train import _verl_plan
from reasonrl.errors import DataError, ModelError, ReasonRLError, RecipeError
from reasonrl.plan import estimate
from reasonrl.plan.preflight import preflight
from reasonrl.recipe.reading import parse_recipe
from reasonrl.stages.run import train
from tests.tiny_runs import TINY, merged

CRITIC = {"format": {"name": "answer_tag", "instruction": "Check."}}
STEPS = {"source": "step_arithmetic", "options": {"terms": 3, "high": 9, "size": 20}}


def gathering(**changes: Any) -> dict[str, Any]:
    return {
        "name": "gather",
        "threads": 1,
        "device": "cpu",
        "model": {"path": "tiny-critic"},
        "verifier": {"name": "math", "mode": "lenient"},
        "rollout": {"max_new_tokens": 8},
        "data": {"train": STEPS},
        **changes,
    }


CASES: dict[str, tuple[dict[str, Any], type[ReasonRLError], str]] = {
    "a game without critic": (gathering(kind="game", game={}), RecipeError, "critic: missing; a game needs"),
    "a game without right solutions": (
        gathering(kind="game", game={}, critic=CRITIC),
        DataError,
        "data.train: no solution is labelled correct",
    ),
    "a game with a player that is not there": (
        gathering(kind="game", game={"solver": {"model": "./nobody"}}, critic=CRITIC),
        ModelError,
        "the model of the role solver: './nobody' is neither",
    ),
    "a critic without a format": (
        gathering(kind="collect", collect={"make": "responses", "critic": "same"}),
        RecipeError,
        "collect.critic: add the section critic",
    ),
    "a completer that is not there": (
        gathering(kind="collect", collect={"labeller": "monte_carlo", "steps": "lines", "completer": "./nobody"}),
        ModelError,
        "the model of the role completer: './nobody' is neither",
    ),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "measure_flops_per_s", lambda *_: 1e9)


@pytest.mark.parametrize("case", CASES)
def test_the_dry_run_refuses_what_the_run_refuses(case: str, tmp_path: Path) -> None:
    recipe, error, message = CASES[case]
    loaded = parse_recipe(yaml.safe_dump(recipe), "test")
    with pytest.raises(error, match=re.escape(message)) as planned:
        preflight(loaded, offline=True)
    if case.endswith("that is not there"):
        return  # the run reads its data first
    with pytest.raises(error) as ran:
        train(loaded, tmp_path / "run", offline=True, quiet=True)
    assert str(ran.value) == str(planned.value)


def test_a_conversation_needs_a_chat_template() -> None:
    """Problems that are text, for a model without a chat template, whose responses a critic is to refine."""
    recipe = TINY | {"kind": "collect", "critic": CRITIC, "collect": {"make": "responses", "critic": "same"}}
    loaded = parse_recipe(yaml.safe_dump({**recipe, "train": {}}), "test")
    with pytest.raises(ModelError, match=r"^collect\.critic has messages, but the model's tokenizer has no chat"):
        preflight(loaded, offline=True)


def test_every_row_has_the_demonstration_that_is_taught(tmp_path: Path) -> None:
    def write(first: int, count: int, without: int) -> Path:
        path = tmp_path / f"{first}.jsonl"
        lines = []
        for i in range(first, first + count):
            reference = {"answer": str(i + 1)} | ({} if i == without else {"demonstration": str(i + 1)})
            lines.append({"id": f"s{i}", "kind": "math", "prompt": f"{i} + 1", "reference": reference})
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    recipe = TINY | {
        "kind": "sft",
        "sft": {"response": "{demonstration}", "steps": 1},
        "data": TINY["data"]
        | {
            "train": {"source": str(write(0, 9, without=5))},
            "heldout": {"sums": {"source": str(write(20, 3, without=-1))}},
        },
    }
    loaded = parse_recipe(yaml.safe_dump(recipe), "test")
    message = "data.train: problem s5 has no 'demonstration'"
    with pytest.raises(DataError, match=message):
        preflight(loaded, offline=True)
    with pytest.raises(DataError, match=message):
        train(loaded, tmp_path / "run", offline=True, quiet=True)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_step_of_verl_needs_as_many_problems() -> None:
    recipe = merged(TINY, {"backend": "verl", "train": {"prompts_per_step": 64}})
    loaded = parse_recipe(yaml.safe_dump(recipe), "test")
    with pytest.raises(RecipeError, match=r"^train\.prompts_per_step: 64 is more than the \d+ problems of data\.train"):
        preflight(loaded, offline=True, backends={"verl": _verl_plan})


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, "data.train: the solution of problem whole is not split into steps"),
        (
            {"steps": "1 + 2 = 3"},
            "data.train: problem whole: steps of a critique's reference must be a list of strings",
        ),
    ],
)
def test_a_game_needs_solutions_in_steps(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    reference = {"answer": "3", "solution": "1 + 2 = 3", "correct": True, "first_error": -1, **more}
    row = {"id": "whole", "kind": "math", "prompt": "1 + 2", "reference": reference}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    recipe = gathering(kind="game", game={}, critic=CRITIC, data={"train": {"source": str(tmp_path / "rows.jsonl")}})
    loaded = parse_recipe(yaml.safe_dump(recipe), "test")
    with pytest.raises(DataError, match=message):
        preflight(loaded, offline=True)
    with pytest.raises(DataError, match=message):
        train(loaded, tmp_path / "run", offline=True, quiet=True)
