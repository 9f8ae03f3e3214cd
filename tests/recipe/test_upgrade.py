"""Runs of earlier versions: their saved recipes are read with today's keys, and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl.errors import RecipeError, UsageError
from reasonrl.recipe.differences import recipe_differences
from reasonrl.recipe.reading import load_recipe, parse_recipe
from reasonrl.runs.folder import start_run
from tests.metric_runs import critic


def saved_by_an_earlier_version(folder: Path) -> dict[str, Any]:
    """The stage's recipe as a whole, `critic.phase` under its old name, and without a key that did not exist."""
    stage = parse_recipe(yaml.safe_dump(critic(folder)), "test").stages[0].model_dump(mode="json")
    stage["critic"]["stage"] = stage["critic"].pop("phase")
    del stage["train"]["mismatch"]
    return stage


def test_a_saved_recipe_is_read_and_one_that_is_written_is_told_the_new_key(tmp_path: Path) -> None:
    text = yaml.safe_dump(saved_by_an_earlier_version(tmp_path))
    run, written = tmp_path / "run", tmp_path / "written.yaml"
    start_run(run, text, resume=False)
    assert load_recipe(str(run / "recipe.yaml")).stages[0].critic.phase == 2  # type: ignore[union-attr]
    written.write_text(text)
    with pytest.raises(RecipeError, match=r"critic\.stage.* is called phase now"):
        load_recipe(str(written))


def test_a_run_of_an_earlier_version_is_resumed(tmp_path: Path) -> None:
    earlier = saved_by_an_earlier_version(tmp_path)
    now = parse_recipe(yaml.safe_dump(critic(tmp_path)), "test").stages[0].model_dump(mode="json")
    run = tmp_path / "run"
    start_run(run, yaml.safe_dump(earlier), resume=False)
    (run / "metrics.jsonl").write_text('{"kind": "train", "step": 1}\n')
    start_run(run, yaml.safe_dump(now), resume=True)
    now["optim"]["lr"] = 0.5
    with pytest.raises(UsageError, match="was started with another recipe"):
        start_run(run, yaml.safe_dump(now), resume=True)


def test_recipes_are_compared_by_what_they_mean(tmp_path: Path) -> None:
    recipe = critic(tmp_path)
    text = yaml.safe_dump(recipe)
    assert not recipe_differences(text, "# a comment\n" + text)
    assert not recipe_differences(text, yaml.safe_dump({**recipe, "checkpoint": {"keep_last": 1}})), (
        "a default that is written out"
    )
    assert not recipe_differences(text, yaml.safe_dump({**recipe, "description": "said better"}))
    assert recipe_differences(text, yaml.safe_dump({**recipe, "seed": 7}))
    assert recipe_differences("name: x", text), "what cannot be read is not the same"
