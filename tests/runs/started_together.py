"""Two commands started together in one run folder, without help from the test: whoever comes first runs, the other is
refused, and nothing is lost. tests/runs/test_two_at_once.py suspends the first one instead, to look at the folder.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from reasonrl.api.training import train
from reasonrl.runs.checkpoint import list_checkpoints
from reasonrl.runs.lock import LOCK_FILE
from tests.runs.test_two_at_once import RECIPE, end, files, same_result, start_command, without_clock
from tests.tiny_runs import rows, write_recipe

STEPS = RECIPE["train"]["steps"]
SCENARIOS = ("two trainings", "two resumes", "a training and an export")


def run_alone(folder: Path) -> Path:
    """The run that nobody disturbs, with the thread count of the others; beside it the same run without its last
    checkpoint, and the recipe.
    """
    train(write_recipe(folder, RECIPE), folder / "alone", offline=True, quiet=True)
    shutil.copytree(
        folder / "alone", folder / "stopped", ignore=shutil.ignore_patterns(f"step-{STEPS:06}", "report.html")
    )
    assert [checkpoint.step for checkpoint in list_checkpoints(folder / "stopped/checkpoints")] == [1, STEPS - 1]
    return folder / "alone"


def commands_of(scenario: str) -> tuple[list[str], list[str]]:
    resume = ["train", "both", "--resume", "--offline", "--quiet"]
    if scenario == "two trainings":
        new = ["train", "tiny.yaml", "run_dir=both", "--offline", "--quiet"]
        return new, new
    return resume, resume if scenario == "two resumes" else ["export", "both", "exported"]


def race(scenario: str, folder: Path, alone: Path) -> None:
    """Start both commands of a scenario at once in a fresh folder and check what they leave. Raises AssertionError."""
    run = folder / "both"
    for path in (run, folder / "exported"):
        shutil.rmtree(path, ignore_errors=True)
    if scenario != "two trainings":
        shutil.copytree(folder / "stopped", run)
    commands = commands_of(scenario)
    processes = [start_command(folder, *words) for words in commands]
    try:
        results = [end(process) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert all("Traceback" not in errors for _, errors in results), results
    codes = [code for code, _ in results]
    for loser, (code, errors) in enumerate(results):
        if code:
            check_refusal(errors, processes[1 - loser].pid, commands[1 - loser][0])
    if scenario == "a training and an export":
        check_export(run, folder, codes)
    else:
        assert sorted(codes) == [0, 2], results
        check_sessions(run, scenario)
    same_result(run, alone)
    nothing_left_over(run)


def check_refusal(errors: str, winner: int, command: str) -> None:
    """One message that names the other process; or, from one that came later, the run that is there."""
    named = rf"both is being (?:written|read) by process {winner} \(reasonrl {command} "
    assert len(re.findall("^error:", errors, re.M)) == 1, errors
    assert re.search(named, errors) or "both already holds a run" in errors, errors


def check_sessions(run: Path, scenario: str) -> None:
    """One session for each process that wrote, and each step once."""
    sessions = json.loads((run / "run.json").read_text())["sessions"]
    assert len(sessions) == (2 if scenario == "two resumes" else 1)
    steps = [row["step"] for row in rows(run / "metrics.jsonl") if row["kind"] == "train"]
    assert steps == [*range(1, STEPS + 1)]


def check_export(run: Path, folder: Path, codes: list[int]) -> None:
    """Whoever was refused tries again and succeeds. An export holds the weights of one whole checkpoint."""
    training, export = codes
    assert codes != [2, 2] and set(codes) <= {0, 2}, codes
    if training:
        assert end(start_command(folder, *commands_of("two resumes")[0]))[0] == 0
    if export:
        assert not (folder / "exported").exists()
        assert end(start_command(folder, "export", "both", "exported"))[0] == 0
    weights = (folder / "exported/model.safetensors").read_bytes()
    checkpoints = [*list_checkpoints(folder / "stopped/checkpoints"), *list_checkpoints(run / "checkpoints")]
    assert weights in [(checkpoint.path / "model.safetensors").read_bytes() for checkpoint in checkpoints]


def nothing_left_over(run: Path) -> None:
    assert not [name for name in files(run) if ".tmp" in name or name.endswith(LOCK_FILE)]
    assert without_clock(rows(run / "metrics.jsonl"))
