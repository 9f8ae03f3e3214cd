"""A resumed run compares the recipe in its folder with the one that it began with."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl.cli import main
from reasonrl.errors import RecipeError, UsageError
from reasonrl.recipe.differences import recipe_differences
from reasonrl.recipe.reading import load_recipe
from reasonrl.runs.console import TrainConsole
from reasonrl.runs.folder import latest_run_dir, start_run
from reasonrl.runs.inputs import INPUTS, changes_allowed, read_inputs
from reasonrl.stages.resuming import checkpoint_to_resume
from reasonrl.stages.run import start_stage, train
from tests.tiny_runs import tiny


def edit(path: Path, section: str, **values: Any) -> None:
    recipe = yaml.safe_load(path.read_text())
    recipe.setdefault(section, {}).update(values)
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))


def command(*arguments: str) -> Any:
    """The exit code of a command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["reasonrl", *arguments])
        try:
            main()
        except SystemExit as left:
            return left.code or 0
    return 0


def test_an_edited_recipe_is_refused_by_its_keys_or_recorded(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    was = yaml.safe_load((stopped / "run/recipe.yaml").read_text()).get("optim", {}).get("lr")
    edit(stopped / "run/recipe.yaml", "optim", lr=0.1)
    metrics = (stopped / "run/metrics.jsonl").read_bytes()
    for options in (["--dry-run"], []):
        assert command("train", "run", "--resume", "--offline", *options) == 2
        shown = capsys.readouterr().err
        assert f"optim.lr was {was} and is now 0.1" in shown
        assert "--allow-changes" in shown
    assert (stopped / "run/metrics.jsonl").read_bytes() == metrics
    assert command("train", "run", "--resume", "--offline", "--allow-changes", "--quiet") == 0
    (change,) = changes_allowed(stopped / "run")
    assert change["differences"] == [f"optim.lr was {was} and is now 0.1"]
    edit(stopped / "run/recipe.yaml", "optim", lr=0.2)
    for options in (["--dry-run"], ["--allow-changes"]):
        assert command("train", "run", "--resume", "--offline", *options) == 2
        assert "run is complete, and was trained with another recipe" in capsys.readouterr().err


def test_a_run_recorded_without_its_recipe_is_resumed(stopped: Path) -> None:
    record = json.loads((stopped / "run" / INPUTS).read_text())
    del record["recipe"]
    (stopped / "run" / INPUTS).write_text(json.dumps(record))
    train(load_recipe("run"), Path("run"), resume=True, offline=True, quiet=True)
    assert "recipe" in (read_inputs(stopped / "run") or {})
    assert changes_allowed(stopped / "run") == []


def test_comments_order_defaults_and_descriptions_are_no_difference() -> None:
    recipe = tiny()
    text = yaml.safe_dump(recipe)
    assert (
        recipe_differences(text, yaml.safe_dump({**dict(reversed(recipe.items())), "description": "x"}) + "# x") == []
    )
    assert recipe_differences(text, yaml.safe_dump({**recipe, "seed": 7, "threads": 1}))[-1].startswith("seed was ")
    assert recipe_differences("a: 1", "a: 2") == ["a was 1 and is now 2"]


def test_a_stage_begun_with_other_values_says_where_they_stand(tmp_path: Path) -> None:
    stage = load_recipe_of(tmp_path, seed=1)
    folder = tmp_path / "run/stages/01-tiny"
    start_stage(folder, stage, resume=False)
    (folder / "metrics.jsonl").write_text('{"step": 1}\n')
    (tmp_path / "run/recipe.yaml").write_text("name: x\n")
    other = load_recipe_of(tmp_path, seed=2)
    with pytest.raises(UsageError, match=r"seed was 1 and is now 2\nWrite the old values into .*run/recipe\.yaml"):
        start_stage(folder, other, resume=True)
    start_stage(folder, other, resume=True, allow_changes=True)
    assert yaml.safe_load((folder / "recipe.yaml").read_text())["seed"] == 2


def load_recipe_of(folder: Path, **changes: Any) -> Any:
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny(**changes)))
    return load_recipe(str(path)).stages[0]


def test_a_run_whose_run_json_is_gone_is_still_the_run_to_resume(tmp_path: Path) -> None:
    start_run(tmp_path / "run", "name: x\n", resume=False)
    (tmp_path / "run/run.json").unlink()
    (tmp_path / "run/metrics.jsonl").write_text('{"step": 1}\n')
    recipe = str(tmp_path / "run/recipe.yaml")
    assert latest_run_dir(tmp_path / "runs", "x", recipe) == tmp_path / "run"
    (tmp_path / "run/metrics.jsonl").unlink()
    assert latest_run_dir(tmp_path / "runs", "x", recipe) == tmp_path / "runs/x"


EMPTY = '{"data": {}, "models": {}, "code": {}, '


@pytest.mark.parametrize("text", ["[" * 100_000, EMPTY + '"changes": [{"step": 1}]}', EMPTY + '"recipe": "]["}'])
def test_a_damaged_record_is_not_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / INPUTS).write_text(text)
    assert changes_allowed(tmp_path) == []
    with pytest.raises(UsageError, match="is damaged"):
        read_inputs(tmp_path)


@pytest.mark.parametrize("sessions", [3, [1], [{"versions": [1]}]])
def test_a_damaged_run_json_is_one_message(tmp_path: Path, sessions: Any) -> None:
    start_run(tmp_path / "run", "name: x\n", resume=False)
    (tmp_path / "run/metrics.jsonl").write_text('{"step": 1}\n')
    (tmp_path / "run/run.json").write_text(json.dumps({"sessions": sessions}))
    with pytest.raises(UsageError, match=r"run\.json is damaged .* write \{\} into it"):
        start_run(tmp_path / "run", "name: x\n", resume=True)


def test_what_is_no_folder_of_checkpoints_and_no_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("x")
    with pytest.raises(UsageError, match=r"checkpoints is not a folder.* Remove it, then resume"):
        checkpoint_to_resume(tmp_path, TrainConsole(0, quiet=True))
    with pytest.raises(RecipeError, match=r"is a folder without recipe\.yaml, so it is neither a run nor a recipe"):
        load_recipe(str(tmp_path))
