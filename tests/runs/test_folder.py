"""Where a run goes, and which run `--resume` means."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reasonrl.errors import UsageError
from reasonrl.runs.folder import claimed_run_dir, latest_run_dir, start_run
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


def killed_at(call: int, path: Path) -> bool:
    """Begin a run in a process that dies right before its CALL-th call that changes a file. Returns whether it died."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    calls = 0

    def counted(function):
        def or_die(*arguments):
            nonlocal calls
            if calls == call:
                os._exit(9)
            calls += 1
            return function(*arguments)

        return or_die

    try:
        os.fsync, os.replace = counted(os.fsync), counted(os.replace)
        start_run(path, "name: x\n", resume=False)
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.parametrize("resume", [True, False])
def test_a_run_killed_anywhere_in_its_first_files_is_begun_again(resume: bool, tmp_path: Path) -> None:
    deaths = 0
    while killed_at(deaths, path := tmp_path / str(deaths)):
        deaths += 1
        assert list(path.iterdir()), "it died in the folder"
        start_run(path, "name: x\n", resume=resume)
        assert sorted(file.name for file in path.iterdir()) == ["recipe.yaml", "run.json"]
        assert json.loads((path / "run.json").read_text())["sessions"]
    assert deaths == 4, "each file is written, then renamed"
    (tmp_path / "other").mkdir()
    (tmp_path / "other/.recipe.yaml").write_text("")
    with pytest.raises(UsageError, match="is not empty and is not a run"):
        start_run(tmp_path / "other", "name: x\n", resume=resume)


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
