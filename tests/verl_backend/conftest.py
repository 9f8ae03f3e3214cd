"""Runs on verl that several files of tests look at. Each is made once, and starts Ray: a few minutes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from reasonrl.runs.checkpoint import list_checkpoints
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
    process = launch(ON_TWO, folder, probe=probe)
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
    again = launch(ON_TWO, folder, "--resume", probe=probe)
    assert again.wait(timeout=400) == 0, (folder / "out.txt").read_text()[-3000:]
    return Run(folder, probe, killed_at)


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
