"""A resumed run compares its data, weights and code with those that it began with, and names what has changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from reasonrl.errors import UsageError
from reasonrl.models.loading import load_model
from reasonrl.recipe.critics import RoleSpec
from reasonrl.recipe.reading import parse_recipe
from reasonrl.runs.console import TrainConsole
from reasonrl.runs.inputs import INPUTS, changes_allowed, differences, read_inputs
from reasonrl.runs.report import write_report
from reasonrl.setup.data import RunData
from reasonrl.stages.base import Session
from reasonrl.stages.inputs import stage_inputs
from reasonrl.stages.run import train
from reasonrl.trainer.interrupt import Interrupt
from tests.stages.resumable import RECIPE, REWARD, dry_run, run, sums, write_rows
from tests.tiny_runs import rows


def other_rows(folder: Path) -> None:
    write_rows(folder / "train.jsonl", sums(24, 12))


def fewer_rows(folder: Path) -> None:
    write_rows(folder / "train.jsonl", sums(0, 9))


def more_rows(folder: Path) -> None:
    write_rows(folder / "train.jsonl", sums(0, 15))


def reordered(folder: Path) -> None:
    write_rows(folder / "train.jsonl", sums(0, 12)[::-1])


def other_answers(folder: Path) -> None:
    write_rows(folder / "train.jsonl", [{**row, "answer": "0"} for row in sums(0, 12)])


def other_prompt(folder: Path) -> None:
    lines = sums(0, 12)
    lines[4]["prompt"] = "2 + 2"
    write_rows(folder / "train.jsonl", lines)


def other_heldout_answer(folder: Path) -> None:
    lines = sums(20, 4)
    lines[1]["answer"] = "1"
    write_rows(folder / "test.jsonl", lines)


def other_weights(folder: Path) -> None:
    load_model("tiny-arithmetic", seed=4).model.save_pretrained(folder / "base")


def other_reward(folder: Path) -> None:
    (folder / "my_rewards.py").write_text(REWARD.replace("0.5", "0.25"))


CHANGES: dict[Callable[[Path], None], str] = {
    other_rows: r"data\.train: 12 rows; the first difference is row 1, which was 'sum-0' and is now 'sum-24'",
    fewer_rows: r"data\.train: 12 rows, now 9; the first difference is row 10, which was 'sum-9' and is now nothing",
    more_rows: r"data\.train: 12 rows, now 15; the first difference is row 13, which was nothing and is now 'sum-12'",
    reordered: r"data\.train: 12 rows, in another order; the first difference is row 1, which was 'sum-0'",
    other_answers: r"data\.train: 11 of 12 rows differ; the first is row 2 \(sum-1\), whose reference was"
    r' \{"answer": "1"\} and is now \{"answer": "0"\}',
    other_prompt: r"data\.train: 1 of 12 rows differ; the first is row 5 \(sum-4\), whose prompt was changed",
    other_heldout_answer: r"data\.heldout\.sums: 1 of 4 rows differ; the first is row 2 \(sum-21\)",
    other_weights: r"model \(base\): model\.safetensors was [0-9a-f]{12}, is now [0-9a-f]{12}",
    other_reward: r"my_rewards\.py: the code was changed",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_has_changed_is_named_and_refused_before_a_model_is_loaded(
    change: Callable[[Path], None], stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (stopped / "run/metrics.jsonl").read_bytes(), (stopped / "run" / INPUTS).read_bytes()
    change(stopped)

    def load(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("a model is being loaded")

    monkeypatch.setattr("reasonrl.stages.run_stage.load_language_model", load)
    with pytest.raises(UsageError, match=CHANGES[change]) as refused:
        run(resume=True)
    assert "--allow-changes" in str(refused.value)
    assert refused.value.exit_code == 2
    with pytest.raises(UsageError) as planned:
        dry_run()
    assert str(planned.value) == str(refused.value)
    assert ((stopped / "run/metrics.jsonl").read_bytes(), (stopped / "run" / INPUTS).read_bytes()) == before


def test_all_differences_are_in_one_message(stopped: Path) -> None:
    for change in (other_answers, other_heldout_answer, other_weights, other_reward):
        change(stopped)
    with pytest.raises(UsageError) as refused:
        run(resume=True)
    assert str(refused.value).count("\n  - ") == 4


def test_allowed_changes_are_recorded_and_shown_and_compared_from_then_on(
    stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other_answers(stopped)
    planned = dry_run(allow_changes=True)
    assert planned[0] == "stage tiny continues after step 1"
    assert planned[1].startswith("changed since the run began: data.train: 11 of 12 rows differ")
    run(resume=True, allow_changes=True)
    assert "warning: changed since the run began: data.train: 11 of 12 rows" in " ".join(
        capsys.readouterr().out.split()
    )
    (change,) = changes_allowed(stopped / "run")
    assert change["step"] == 1
    assert change["differences"][0].startswith("data.train: 11 of 12 rows differ")
    assert "data.train: 11 of 12 rows differ" in write_report("run").read_text()
    shutil.rmtree("run/checkpoints/step-000002")
    run(resume=True)
    write_rows(stopped / "train.jsonl", sums(0, 12))
    shutil.rmtree("run/checkpoints/step-000002")
    with pytest.raises(UsageError, match="11 of 12 rows differ"):
        run(resume=True)


def test_what_is_the_same_in_other_files_is_the_same(stopped: Path) -> None:
    """Copied files have other times, but the same bytes."""
    for name in ("train.jsonl", "base/model.safetensors"):
        (stopped / "copy").write_bytes((stopped / name).read_bytes())
        (stopped / "copy").replace(stopped / name)
    assert dry_run() == ["stage tiny continues after step 1"]
    run(resume=True)
    assert dry_run() == ["stage tiny is complete"]
    assert [row["step"] for row in rows(stopped / "run/metrics.jsonl") if row["kind"] == "train"] == [1, 2]
    assert changes_allowed(stopped / "run") == []


def test_a_run_without_a_record_is_resumed_and_recorded(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (stopped / "run" / INPUTS).read_bytes()
    (stopped / "run" / INPUTS).unlink()
    loaded = parse_recipe(yaml.safe_dump(RECIPE), "test")
    train(loaded, Path("run"), resume=True, offline=True)
    said = " ".join(capsys.readouterr().out.split())
    assert "was begun by a version that recorded neither data nor weights" in said
    record, earlier = read_inputs(stopped / "run"), json.loads(before)
    assert record is not None
    assert record["data"] == earlier["data"]


@pytest.mark.parametrize("text", ["[]", "{}", "{", '{"data": {"train": [1]}, "models": {}, "code": {}}', "\xff"])
def test_a_damaged_record_is_one_message(stopped: Path, text: str) -> None:
    (stopped / "run" / INPUTS).write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"run/inputs\.json is damaged .* Remove the file to resume without"):
        run(resume=True)
    with pytest.raises(UsageError, match=r"run/inputs\.json is damaged"):
        dry_run()


def test_changes_are_allowed_only_where_a_run_is_resumed(stopped: Path) -> None:
    with pytest.raises(UsageError, match="add --resume"):
        run(allow_changes=True)


def test_other_versions_are_named(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads((stopped / "run/run.json").read_text())
    record["sessions"][-1]["versions"]["torch"] = "1.13.0"
    (stopped / "run/run.json").write_text(json.dumps(record))
    assert dry_run()[0].startswith(f"other versions than in the last session: torch 1.13.0 -> {torch.__version__}")
    run(resume=True)
    said = " ".join(capsys.readouterr().out.split())
    assert f"warning: other versions than in the last session: torch 1.13.0 -> {torch.__version__}" in said


def test_models_of_roles_are_compared_and_served_ones_are_not(stopped: Path) -> None:
    recipe = parse_recipe(yaml.safe_dump(RECIPE), "test").stages[0]
    roles = {
        "critic": RoleSpec(model="base"),
        "actor": RoleSpec(model="same"),
        "completer": RoleSpec(model="http://localhost:1/v1", served_name="x"),
    }
    with TrainConsole(1, quiet=True) as console:
        session = Session(console, Interrupt(console.warn), "tiny-arithmetic", True, True, {})
        data = RunData([], {}, {})
        before = stage_inputs(recipe, session, data, roles, {})
        assert set(before["models"]) == {"model", "critic"}
        assert before["models"]["model"] == {"name": "tiny-arithmetic", "built_in": "tiny-arithmetic"}
        assert differences(before, stage_inputs(recipe, session, data, roles, before["models"])) == []
        other_weights(stopped)
        (difference,) = differences(before, stage_inputs(recipe, session, data, roles, before["models"]))
        assert difference.startswith("critic (base): model.safetensors was ")
        shutil.rmtree(stopped / "base")
        assert set(stage_inputs(recipe, session, data, roles, {})["models"]) == {"model"}
