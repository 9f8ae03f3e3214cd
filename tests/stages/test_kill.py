"""A run that is killed at any moment and resumed ends with the same bytes as one that was left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reasonrl.errors import UsageError
from reasonrl.runs.folder import start_run
from tests.e2e.commands import reasonrl_in
from tests.tiny_runs import (
    command,
    environment,
    rows,
    tiny,
    write_recipe,
)

STAGES = [
    {
        "name": "warm-up",
        "kind": "sft",
        "sft": {"steps": 6, "rows_per_step": 8, "response": " {gold}\n"},
        "optim": {"lr": 3e-3},
        "checkpoint": {"every_steps": 2},
        "evaluation": {"samples_per_problem": 0},
    },
    {
        "name": "grpo",
        "kind": "rl",
        "train": {"steps": 7, "prompts_per_step": 4, "updates_per_step": 2, "kl": {"coefficient": 0.01}},
        "checkpoint": {"every_steps": 3, "keep_last": 2},
        "evaluation": {"every_steps": 2, "before": True},
    },
]
RECIPE = tiny(stages=STAGES, optim={"schedule": "linear", "warmup_steps": 1})


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("kill"), RECIPE)


@pytest.fixture(scope="module")
def undisturbed(recipe: Path) -> Path:
    done = reasonrl_in(recipe.parent, "train", recipe, "run_dir=whole")
    assert done.code == 0, done.err
    return recipe.parent / "whole"


def count_rows(path: Path, kind: str | None = None) -> int:
    if not path.exists():
        return 0
    lines = path.read_bytes().split(b"\n")[:-1]
    return sum(kind is None or json.loads(line)["kind"] == kind for line in lines)


def start_and_signal(
    recipe: Path, name: str, when: Callable[[Path], bool], number: signal.Signals = signal.SIGKILL, *more: str
) -> int:
    """Start or resume a run and send it a signal as soon as `when` is true of its folder. Returns the exit code."""
    folder = recipe.parent / name
    process = subprocess.Popen(
        command("train", recipe, f"run_dir={name}", "--quiet", *more),
        cwd=recipe.parent,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    try:
        while not when(folder):
            assert process.poll() is None, (
                f"the run ended before the moment came: {process.stderr and process.stderr.read()}"
            )
            assert time.monotonic() < deadline
            time.sleep(0.001)
        os.kill(process.pid, number)
        process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return process.returncode


def without_clock(row: Any) -> Any:
    """All that must repeat: seconds and memory are this machine's mood."""
    if isinstance(row, dict):
        return {
            k: without_clock(v) for k, v in row.items() if k != "seconds" and not k.startswith(("time/", "memory/"))
        }
    return [without_clock(v) for v in row] if isinstance(row, list) else row


def assert_same_run(made: Path, expected: Path) -> None:
    stages = sorted(p.name for p in (expected / "stages").iterdir())
    assert sorted(p.name for p in (made / "stages").iterdir()) == stages == ["01-warm-up", "02-grpo"]
    for stage in stages:
        ours, theirs = made / "stages" / stage, expected / "stages" / stage
        for name in ("metrics.jsonl", "samples.jsonl"):
            assert without_clock(rows(ours / name)) == without_clock(rows(theirs / name)), f"{stage}/{name}"
        checkpoints = sorted(p.name for p in (theirs / "checkpoints").iterdir())
        assert sorted(p.name for p in (ours / "checkpoints").iterdir()) == checkpoints
        parts = ("model.safetensors", "trainer/tensors.safetensors", "trainer/state.json")
        for name in [*(f"checkpoints/{c}/{part}" for c in checkpoints for part in parts), "best/model.safetensors"]:
            assert (ours / name).exists() == (theirs / name).exists(), f"{stage}/{name}"
            if (theirs / name).exists():
                assert (ours / name).read_bytes() == (theirs / name).read_bytes(), f"{stage}/{name} differs"
        assert not list(ours.rglob(".*.tmp")), "something half written was left behind"


SFT, GRPO = "stages/01-warm-up", "stages/02-grpo"
Moment = Callable[[Path], bool]


def kill_at(recipe: Path, name: str, moments: list[Moment]) -> None:
    for i, moment in enumerate(moments):
        assert start_and_signal(recipe, name, moment, signal.SIGKILL, *(["--resume"] if i else [])) == -signal.SIGKILL
    done = reasonrl_in(recipe.parent, "train", recipe, f"run_dir={name}", "--resume")
    assert done.code == 0, done.err


def test_killed_four_times_and_resumed_is_the_same_run(recipe: Path, undisturbed: Path) -> None:
    # in the baseline evaluation
    moments: list[Moment] = [
        lambda f: any((f / SFT / "checkpoints").glob(".step-*.tmp")),  # while a checkpoint is being written
        lambda f: (f / GRPO / "tensorboard").exists() and count_rows(f / GRPO / "metrics.jsonl") == 0,
        lambda f: count_rows(f / GRPO / "metrics.jsonl", "train") >= 4,  # between two checkpoints of the second stage
        lambda f: (f / GRPO / "checkpoints" / ".step-000006.tmp").exists(),
    ]
    kill_at(recipe, "killed", moments)
    assert_same_run(recipe.parent / "killed", undisturbed)
    sessions = json.loads((recipe.parent / "killed" / "run.json").read_text())["sessions"]
    assert len(sessions) == 5


EARLIER: dict[str, list[Moment]] = {
    "before anything was trained": [
        lambda f: (f / SFT / "recipe.yaml").exists(),
        lambda f: (f / SFT / "tensorboard").exists(),
    ],
    "after supervised steps": [lambda f, n=n: count_rows(f / SFT / "metrics.jsonl", "sft") >= n for n in (1, 3, 5)],  # type: ignore[misc]
    "when the best model is kept": [lambda f: (f / GRPO / ".best.tmp").exists()],
}


@pytest.mark.slow
@pytest.mark.parametrize("moments", EARLIER.values(), ids=EARLIER.keys())
def test_other_moments(moments: list[Moment], recipe: Path, undisturbed: Path) -> None:
    name = f"killed-{list(EARLIER.values()).index(moments)}"
    kill_at(recipe, name, moments)
    assert_same_run(recipe.parent / name, undisturbed)


@pytest.mark.slow
def test_control_c_saves_stops_and_goes_on(recipe: Path, undisturbed: Path) -> None:
    """First in the last step of a stage: the next one is not begun. Then within a stage: a checkpoint at that step."""
    folder = recipe.parent / "interrupted"
    code = start_and_signal(
        recipe, "interrupted", lambda f: count_rows(f / SFT / "metrics.jsonl", "sft") >= 6, signal.SIGINT
    )
    assert code == 130
    assert not (folder / GRPO).exists()
    code = start_and_signal(
        recipe, "interrupted", lambda f: count_rows(f / GRPO / "metrics.jsonl", "train") >= 1, signal.SIGINT, "--resume"
    )  # fmt: skip
    assert code == 130
    steps = [row["step"] for row in rows(folder / GRPO / "metrics.jsonl") if row["kind"] == "train"]
    saved = sorted(p.name for p in (folder / GRPO / "checkpoints").iterdir())
    assert saved[-1] == f"step-{steps[-1]:06d}"
    assert len(steps) < 7
    done = reasonrl_in(recipe.parent, "train", folder / "recipe.yaml", "run_dir=interrupted", "--resume")
    assert done.code == 0, done.err
    # The extra checkpoint at the interrupted step may have pushed out an older one: the result is what must be the
    # same.
    last = f"{GRPO}/checkpoints/step-000007"
    for file in ("model.safetensors", "trainer/tensors.safetensors"):
        assert (folder / last / file).read_bytes() == (undisturbed / last / file).read_bytes()
    for name in ("metrics.jsonl", "samples.jsonl"):
        assert without_clock(rows(folder / GRPO / name)) == without_clock(rows(undisturbed / GRPO / name))
    # Finished: to resume it once more changes nothing.
    again = reasonrl_in(recipe.parent, "train", recipe, "run_dir=interrupted", "--resume")
    assert again.code == 0, again.err
    assert without_clock(rows(folder / GRPO / "metrics.jsonl")) == without_clock(
        rows(undisturbed / GRPO / "metrics.jsonl")
    )


def test_a_run_is_not_resumed_with_another_recipe(undisturbed: Path) -> None:
    with pytest.raises(UsageError, match="already holds a run"):
        start_run(undisturbed, "name: other\n", resume=False)
    with pytest.raises(UsageError, match="was started with another recipe"):
        start_run(undisturbed, "name: other\n", resume=True)
