"""A stage on another backend compares its inputs too; checkpoints of verl that are passed over are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl.errors import UsageError
from reasonrl.recipe.reading import parse_recipe
from reasonrl.rewards.loading import make_verifier
from reasonrl.runs.console import TrainConsole
from reasonrl.runs.inputs import read_inputs
from reasonrl.setup.data import RunData, load_data
from reasonrl.stages.run import train
from reasonrl.verl_backend.launch import resumed_step
from tests.tiny_runs import tiny

RECIPE = tiny(backend="verl", train={"steps": 1})


class Launched(Exception):
    """The backend would launch now."""


def backend(step: int | None, change: Callable[[RunData], None]) -> Any:
    def run(recipe: Any, folder: Path, console: Any, *, check_data: Any, **options: Any) -> Path:
        data = load_data(recipe, make_verifier(recipe), offline=True)
        change(data)
        check_data(data, step)
        raise Launched

    return run


def launch(folder: Path, *, resume: bool, change: Callable[[RunData], None] = lambda data: None) -> None:
    loaded = parse_recipe(yaml.safe_dump(RECIPE), "test")
    step = 2 if resume else None
    train(loaded, folder, resume=resume, offline=True, quiet=True, backends={"verl": backend(step, change)})


def test_the_data_is_compared_before_verl_is_launched(tmp_path: Path) -> None:
    with pytest.raises(Launched):
        launch(tmp_path / "run", resume=False)
    record = read_inputs(tmp_path / "run")
    assert record is not None
    assert len(record["data"]["data.train"]) == 30
    with pytest.raises(Launched):
        launch(tmp_path / "run", resume=True)

    def fewer(data: RunData) -> None:
        del data.train[20:]

    with pytest.raises(UsageError, match=r"data\.train: 30 rows, now 20; the first difference is row 21"):
        launch(tmp_path / "run", resume=True, change=fewer)


def test_incomplete_checkpoints_of_verl_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console, checkpoints = TrainConsole(9, quiet=True), tmp_path / "verl" / "checkpoints"
    for step in (2, 4):
        (checkpoints / f"global_step_{step}" / "reasonrl").mkdir(parents=True)
    (tmp_path / "metrics.jsonl").write_text('{"kind": "train", "step": 1}\n')
    assert resumed_step(tmp_path, console) is None
    printed = " ".join(capsys.readouterr().out.split())
    assert "global_step_4 is incomplete (it was not written to its end); starting over" in printed
    assert "has no complete checkpoint, so it starts over from its first step" in printed
    (checkpoints / "global_step_2" / "reasonrl" / "complete").touch()
    assert resumed_step(tmp_path, console) == 2
    printed = " ".join(capsys.readouterr().out.split())
    assert "global_step_4 is incomplete (it was not written to its end); resuming from step 2" in printed
    assert "global_step_2 is incomplete" not in printed
