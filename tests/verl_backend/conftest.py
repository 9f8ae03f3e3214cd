"""Runs on verl that several files of tests look at. Each is made once, and starts Ray: a few minutes."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from reasonrl.runs.checkpoint import list_checkpoints
from tests import metric_runs
from tests.tiny_runs import merged
from tests.verl_backend.recipes import ON_TWO, critique, launch, processes_of


@dataclass
class Run:
    folder: Path
    probe: Path
    killed_at: int

    @property
    def stage(self) -> Path:
        return self.folder / "run" / "stages" / "02-grpo"

    def rows(self, kind: str) -> list[dict[str, Any]]:
        return [
            row
            for row in map(json.loads, (self.stage / "metrics.jsonl").read_text().splitlines())
            if row["kind"] == kind
        ]

    def step(self, number: int) -> dict[str, Any]:
        return torch.load(self.probe / f"step-{number}.pt", weights_only=False)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Every method on, on two workers; killed after a checkpoint and resumed."""
    folder = tmp_path_factory.mktemp("everything")
    probe = folder / "probe"
    recipe = with_benchmark(folder)
    process = launch(recipe, folder, probe=probe)
    checkpoints = folder / "run" / "stages" / "02-grpo" / "checkpoints"
    noted = folder / "run" / "stages" / "02-grpo" / "verl" / "checkpoints" / "latest_checkpointed_iteration.txt"
    deadline = time.monotonic() + 400
    while (
        not (noted.exists() and list_checkpoints(checkpoints))
        and process.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.2)
    assert process.poll() is None, (folder / "out.txt").read_text()[-3000:]
    kill_everything(folder)
    killed_at = int(noted.read_text())
    process.wait(timeout=60)
    again = launch(recipe, folder, "--resume", probe=probe)
    assert again.wait(timeout=400) == 0, (folder / "out.txt").read_text()[-3000:]
    return Run(folder, probe, killed_at)


def with_benchmark(folder: Path) -> dict[str, Any]:
    """A published benchmark as a held-out set beside the first one."""
    rows = [{"source": "gsm8k", "problem": f"{n} + 1", "answer": str(n + 1)} for n in range(20, 25)]
    (folder / "copy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    copied = {"benchmark": "gsm8k", "limit": 4, "options": {"path": str(folder / "copy.jsonl")}}
    return merged(ON_TWO, {"data": {"heldout": {"gsm8k": copied}}})  # type: ignore[no-any-return]


def kill_everything(folder: Path) -> None:
    """SIGKILL to the launcher, to verl's driver and to all of Ray that works for it: what a lost machine looks like."""
    for process in processes_of(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


@pytest.fixture(scope="session")
def critic_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stage II of Critique-RL, refined by the policy itself. The folder of the run."""
    folder = tmp_path_factory.mktemp("critic")
    assert launch(critique(), folder).wait(timeout=600) == 0, (folder / "out.txt").read_text()[-3000:]
    return folder / "run"


@pytest.fixture(scope="session")
def tool_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that calls tools, with a held-out set. The folder of the run."""
    folder = tmp_path_factory.mktemp("tools")
    recipe = merged(metric_runs.tools(), {"backend": "verl", "verl": {"platform": "cpu"}})
    process = launch(recipe, folder, PYTHONPATH=str(Path(__file__).parents[2]))
    assert process.wait(timeout=600) == 0, (folder / "out.txt").read_text()[-3000:]
    return folder / "run"


DEATHS = {"server 2": "HFServer", "agent 2": "AgentLoopWorkerTQ", "trainer 3": "WorkerDict"}
"""What dies in which step, and the class that the message names."""
THREE_DEATHS = pytest.param(list(DEATHS), marks=pytest.mark.soak, id="three deaths")


@dataclass
class Launch:
    """How one launch ended: its exit code, what it printed, and the steps that had a checkpoint then."""

    code: int
    output: str
    saved_steps: list[int]


@dataclass
class FaultyRun:
    folder: Path
    victims: list[str]
    launches: dict[str, Launch]
    lines_before_last: list[str]

    @property
    def stage(self) -> Path:
        return self.folder / "run" / "stages" / "02-grpo"


@pytest.fixture(
    scope="session",
    params=[pytest.param(["server 2"], id="one death"), THREE_DEATHS],
)
def faulty_run(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> FaultyRun:
    """Adapters on two workers: something dies in each of the first launches, and the next one ends. After three deaths
    a last launch has only the evaluation to make up for. All the while a reward function hangs on every fourth problem
    or so.
    """
    folder = tmp_path_factory.mktemp("faulty")
    recipe: dict[str, Any] = copy.deepcopy(ON_TWO) | {
        "curriculum": {"name": "uniform"},
        "budget": {"name": "uniform"},
        "evaluation": {"before": False, "samples_per_problem": 0},
        # One of two servers that dies costs half of the rollouts that do not hang; a quarter hangs anyway.
        "health": {"max_unjudged_share": 0.45},
        "reward": {
            "correctness": 1.0,
            "service": {"weight": 1.0, "function": "tests.verl_backend.rewards:sometimes_stuck"},
        },
    }
    recipe["verl"]["judge_timeout_s"] = 2
    recipe["stages"][0]["sft"]["steps"] = 60
    recipe["stages"][1] |= {
        "model": {"lora": {"rank": 4, "alpha": 8}},
        "train": {"steps": 3, "prompts_per_step": 8, "kl": {"coefficient": 0.05}},
        "optim": {"lr": 1.0e-2},
        "checkpoint": {"every_steps": 1, "keep_last": 3},
    }
    made = FaultyRun(folder, request.param, {}, [])
    output = folder / "out.txt"

    def next_launch(name: str, victim: str = "nobody 0") -> None:
        begins = len(output.read_text()) if made.launches else 0
        again = ["--resume"] if made.launches else []
        process = launch(recipe, folder, *again, probe=folder / "probe", PROBE_FOLDER="", PROBE_KILL=victim)
        code = process.wait(timeout=900)
        saved = [checkpoint.step for checkpoint in list_checkpoints(made.stage / "checkpoints")]
        made.launches[name] = Launch(code, output.read_text()[begins:], saved)

    for victim in made.victims:
        next_launch(victim, victim)
    next_launch("to the end")
    assert made.launches["to the end"].code == 0, output.read_text()[-3000:]
    metrics = made.stage / "metrics.jsonl"
    lines = metrics.read_text().splitlines(keepends=True)
    made.lines_before_last = [line for line in lines if json.loads(line)["kind"] == "train"]
    if len(made.victims) == 1:
        return made
    # As if the run had been killed after its last checkpoint and before its evaluation.
    metrics.write_text("".join(made.lines_before_last))
    shutil.rmtree(made.stage / "best")
    next_launch("evaluation alone")
    assert made.launches["evaluation alone"].code == 0, output.read_text()[-3000:]
    return made
