"""Where a run goes, and which run `--resume` means."""

from __future__ import annotations

import json
from pathlib import Path

from reasonrl.runs.folder import claimed_run_dir, latest_run_dir
from tests.e2e.commands import reasonrl_in
from tests.tiny_runs import tiny, write_recipe


def test_a_new_run_gets_the_next_free_folder_and_resume_the_newest(tmp_path: Path) -> None:
    assert latest_run_dir(tmp_path, "sums", "sums.yaml") == tmp_path / "sums"
    for name in ("sums", "sums-2", "sums-3"):
        with claimed_run_dir(tmp_path, "sums") as path:
            assert path == tmp_path / name and path.is_dir()
            (path / "recipe.yaml").write_text("name: sums\n")
        assert latest_run_dir(tmp_path, "sums", "sums.yaml") == tmp_path / name


def test_a_claimed_folder_is_nobody_elses_and_goes_when_nothing_was_written(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    with claimed_run_dir(root, "sums") as first, claimed_run_dir(root, "sums") as second:
        assert [first.name, second.name] == ["sums", "sums-2"]
    assert not root.exists()


def test_a_run_folder_that_is_a_file_is_one_message(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, tiny())
    for run_dir in ("tiny.yaml", "tiny.yaml/inner"):
        refused = reasonrl_in(tmp_path, "train", path, f"run_dir={run_dir}", "--offline")
        assert refused.code == 2 and "it is a file, or is inside one" in refused.err, refused.err


def test_a_run_is_resumed_by_its_folder_with_the_overrides_that_it_began_with(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, tiny(evaluation={"before": False}))
    begun = reasonrl_in(tmp_path, "train", path, "run_dir=somewhere/first", "train.steps=2", "--offline")
    assert begun.code == 0, begun.err
    again = reasonrl_in(tmp_path, "train", "somewhere/first", "--resume", "--offline")
    assert again.code == 0, again.err
    assert "somewhere/first is already complete (2 steps)" in again.out
    assert len(json.loads((tmp_path / "somewhere/first/run.json").read_text())["sessions"]) == 2
    assert not (tmp_path / "runs").exists()


def test_without_resume_the_recipe_of_a_run_starts_another_run(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, tiny(train={"steps": 1}, evaluation={"before": False}))
    assert reasonrl_in(tmp_path, "train", path, "run_dir=first", "--offline").code == 0
    anew = reasonrl_in(tmp_path, "train", "first", "train.steps=2", "--offline")
    assert anew.code == 0, anew.err
    assert len((tmp_path / "runs/tiny/metrics.jsonl").read_text().splitlines()) >= 2
