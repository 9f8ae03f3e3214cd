"""A run in stages of an earlier version, whose saved recipes lack keys that exist now, is resumed to the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl.errors import UsageError
from reasonrl.recipe.differences import recipe_differences
from reasonrl.recipe.reading import load_recipe, parse_recipe, shipped_recipes
from reasonrl.stages.run import train
from tests.tiny_runs import merged, rows, tiny

STAGES: list[dict[str, Any]] = [
    {
        "name": "warm-up",
        "kind": "sft",
        "sft": {"steps": 2, "rows_per_step": 4, "response": " {gold}\n"},
        "evaluation": {"samples_per_problem": 0},
    },
    {
        "name": "grpo",
        "kind": "rl",
        "train": {"steps": 3, "prompts_per_step": 2, "kl": {"coefficient": 0.01}},
        "evaluation": {"every_steps": 2},
    },
]
RECIPE = tiny(
    stages=STAGES,
    checkpoint={"every_steps": 1, "keep_last": 5},
    optim={"schedule": "constant", "weight_decay": 0.0},
)


def text(recipe: dict[str, Any]) -> str:
    return yaml.safe_dump(recipe, sort_keys=False)


def run(recipe: str, folder: Path, *, resume: bool = False) -> None:
    train(parse_recipe(recipe, "test"), folder, resume=resume, offline=True, quiet=True)


def without_defaults(path: Path) -> None:
    """Take every key whose value is the default out of a saved recipe: no version knew fewer keys."""
    (stage,) = load_recipe(str(path)).stages
    shorter = stage.model_dump(mode="json", exclude_defaults=True)
    assert len(text(shorter)) < len(path.read_text()) / 2
    path.write_text(text(shorter))


def bytes_of_last_model(folder: Path) -> bytes:
    return (folder / "stages/02-grpo/checkpoints/step-000003/model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    run(text(RECIPE), folder)
    return folder


@pytest.fixture
def earlier(finished: Path, tmp_path: Path) -> Path:
    """The run, stopped after the first step of its second stage and saved by a version with fewer keys."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    for step in (2, 3):
        shutil.rmtree(folder / "stages/02-grpo/checkpoints" / f"step-{step:06d}")
    for stage in ("01-warm-up", "02-grpo"):
        without_defaults(folder / "stages" / stage / "recipe.yaml")
    whole = yaml.safe_load((folder / "recipe.yaml").read_text())
    del whole["optim"]["schedule"], whole["optim"]["weight_decay"]
    (folder / "recipe.yaml").write_text(text(whole))
    return folder


def test_a_run_in_stages_without_keys_of_today_is_resumed_to_the_same_bytes(finished: Path, earlier: Path) -> None:
    run(text(RECIPE), earlier, resume=True)
    assert bytes_of_last_model(earlier) == bytes_of_last_model(finished)
    steps = [row["step"] for row in rows(earlier / "stages/02-grpo/metrics.jsonl") if row["kind"] == "train"]
    assert steps == [1, 2, 3]


def test_it_is_resumed_with_the_recipe_that_it_saved_itself(finished: Path, earlier: Path) -> None:
    train(load_recipe(str(earlier / "recipe.yaml")), earlier, resume=True, offline=True, quiet=True)
    assert bytes_of_last_model(earlier) == bytes_of_last_model(finished)


@pytest.mark.parametrize(
    "change",
    [
        {"optim": {"schedule": "linear"}},
        {"seed": 7},
        {"stages": [STAGES[0], merged(STAGES[1], {"train": {"kl": {"coefficient": 0.02}}})]},
        {"stages": STAGES[:1]},
    ],
)
def test_a_changed_value_is_refused(earlier: Path, change: dict[str, Any]) -> None:
    before = (earlier / "recipe.yaml").read_bytes()
    with pytest.raises(UsageError, match="was started with another recipe") as refused:
        run(text(merged(RECIPE, change)), earlier, resume=True)
    assert f"reasonrl train {earlier} --resume" in str(refused.value)
    assert (earlier / "recipe.yaml").read_bytes() == before


def test_a_saved_stage_with_another_value_is_refused(earlier: Path) -> None:
    """The recipe of the whole run says nothing of it, so the stage itself has to."""
    path = earlier / "stages/02-grpo/recipe.yaml"
    saved = yaml.safe_load(path.read_text())
    path.write_text(text(merged(saved, {"train": {"updates_per_step": 2}})))
    with pytest.raises(UsageError, match=r"02-grpo was started with another recipe"):
        run(text(RECIPE), earlier, resume=True)


@pytest.mark.parametrize("name", sorted(path.parent.name for path in shipped_recipes().glob("*/recipe.yaml")))
def test_a_saved_recipe_may_lack_every_key_that_has_its_default(name: str) -> None:
    for stage in load_recipe(name).stages:
        saved = stage.model_dump(mode="json", exclude_defaults=True)
        assert not recipe_differences(text(saved), text(stage.model_dump(mode="json"))), stage.name
