"""Two `reasonrl train` started together: in one folder one of them runs and the other is refused; without a folder
each gets one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl.api.training import train
from reasonrl.commands.export import export_command
from reasonrl.commands.inspect import report_command
from reasonrl.commands.results import refuse_old_results
from reasonrl.errors import UsageError
from reasonrl.runs.checkpoint import list_checkpoints
from reasonrl.runs.lock import LOCK_FILE, locked
from tests.tiny_runs import command, environment, rows, tiny, write_recipe

RECIPE = tiny(
    train={"steps": 3},
    checkpoint={"every_steps": 1, "keep_last": 3},
    evaluation={"before": False, "samples_per_problem": 0},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("two")
    write_recipe(path, RECIPE)
    return path


@pytest.fixture(scope="module")
def alone(folder: Path) -> Path:
    """The run that nobody disturbs, trained in this process."""
    train(folder / "tiny.yaml", folder / "alone", offline=True, quiet=True)
    return folder / "alone"


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return start_command(folder, "train", *words, "--offline", "--quiet")


def start_command(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*words),
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def stop_the_first(run: Path, processes: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    """Suspend the process that gets the lock, so that the other one meets it however fast the run is."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        try:
            owner = json.loads((run / LOCK_FILE).read_text())["pid"]
        except (OSError, ValueError):
            time.sleep(0.001)
            continue
        os.kill(owner, signal.SIGSTOP)
        return next(process for process in processes if process.pid == owner)
    raise AssertionError("neither process locked the folder")


def files(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


def without_clock(value: Any) -> Any:
    if isinstance(value, dict):
        clock = ("time/", "memory/", "seconds")
        return {key: without_clock(inner) for key, inner in value.items() if not key.startswith(clock)}
    return [without_clock(inner) for inner in value] if isinstance(value, list) else value


def same_result(run: Path, expected: Path) -> None:
    for name in ("metrics.jsonl", "samples.jsonl"):
        assert without_clock(rows(run / name)) == without_clock(rows(expected / name))
    pairs = list(zip(*(list_checkpoints(path / "checkpoints") for path in (run, expected)), strict=True))
    for checkpoint, undisturbed in pairs:
        assert checkpoint.step == undisturbed.step
        for name in ("model.safetensors", "trainer/tensors.safetensors"):
            assert (checkpoint.path / name).read_bytes() == (undisturbed.path / name).read_bytes()
    assert pairs
    assert not (run / LOCK_FILE).exists() and (run / "report.html").exists()


def one_runs_and_the_other_is_refused(folder: Path, name: str, *commands: list[str]) -> subprocess.Popen[str]:
    """Start both, suspend the first with the lock, and return it once the other was refused."""
    processes = [start(folder, *words) for words in commands]
    try:
        first = stop_the_first(folder / name, processes)
        before = files(folder / name)
        code, errors = end(next(process for process in processes if process is not first))
        assert code == 2, errors
        assert f"error: {name} is being written by process {first.pid} (reasonrl train " in errors
        assert "Wait for it, or write run_dir=ANOTHER_FOLDER" in errors and "Traceback" not in errors
        assert files(folder / name) == before
        return first
    except BaseException:
        for process in processes:
            process.kill()
        raise


def test_two_trainings_in_one_folder_and_an_export_and_a_report_beside_them(folder: Path, alone: Path) -> None:
    words = ["tiny.yaml", "run_dir=both"]
    first = one_runs_and_the_other_is_refused(folder, "both", words, words)
    run = folder / "both"
    shutil.copytree(alone, folder / "spare")
    deadline = time.monotonic() + 60
    while not (run / "recipe.yaml").exists():  # it may have been suspended before it wrote its recipe
        assert time.monotonic() < deadline
        os.kill(first.pid, signal.SIGCONT)
        time.sleep(0.001)
    os.kill(first.pid, signal.SIGSTOP)
    for refused in (
        lambda: export_command(run, folder / "exported", dtype=None, as_json=True),
        lambda: report_command(run, as_json=True),
        lambda: refuse_old_results(run),
        lambda: train(folder / "tiny.yaml", run, resume=True, offline=True, quiet=True),
    ):
        with pytest.raises(UsageError, match=f"is being written by process {first.pid} "):
            refused()
    assert not (folder / "exported").exists()
    os.kill(first.pid, signal.SIGCONT)
    code, errors = end(first)
    assert code == 0, errors
    same_result(run, alone)
    assert len(json.loads((run / "run.json").read_text())["sessions"]) == 1


@pytest.mark.slow
def test_two_resumes_of_a_stopped_run(folder: Path, alone: Path) -> None:
    run = folder / "stopped"
    shutil.copytree(alone, run)
    shutil.rmtree(run / "checkpoints/step-000003")
    assert [checkpoint.step for checkpoint in list_checkpoints(run / "checkpoints")] == [1, 2]
    (run / "report.html").unlink()
    words = ["stopped", "--resume"]
    first = one_runs_and_the_other_is_refused(folder, "stopped", words, words)
    os.kill(first.pid, signal.SIGCONT)
    code, errors = end(first)
    assert code == 0, errors
    same_result(run, alone)


@pytest.mark.slow
def test_two_trainings_without_a_folder_get_one_each(folder: Path) -> None:
    processes = [start(folder, "tiny.yaml", "train.steps=1", f"seed={seed}") for seed in (1, 2)]
    for process in processes:
        code, errors = end(process)
        assert code == 0, errors
    runs = sorted((folder / "runs").iterdir())
    assert [run.name for run in runs] == ["tiny", "tiny-2"]
    recipes = [yaml.safe_load((run / "recipe.yaml").read_text()) for run in runs]
    assert sorted(recipe["seed"] for recipe in recipes) == [1, 2]
    for run, recipe in zip(runs, recipes, strict=True):
        assert f"seed={recipe['seed']}" in json.loads((run / "run.json").read_text())["sessions"][0]["command"]
        assert [row["step"] for row in rows(run / "metrics.jsonl") if row["kind"] == "train"] == [1]


def test_one_process_trains_in_a_folder_that_it_has_locked_and_in_another(folder: Path, alone: Path) -> None:
    with locked(folder / "nested", "Wait"):
        train(folder / "tiny.yaml", folder / "nested", offline=True, quiet=True)
    same_result(folder / "nested", alone)


def test_a_recipe_that_is_refused_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        train(write_recipe(tmp_path, tiny(rollout={"engine": "no-such-engine"})))
    assert os.listdir(tmp_path) == ["tiny.yaml"]
