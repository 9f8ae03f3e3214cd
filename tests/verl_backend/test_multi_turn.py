"""An environment of three turns through verl's agent loop: the same ids, masks and log-probs as in a local run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.environments.scripted_partner import THREE_TURNS
from tests.tiny_runs import merged, rows, write_recipe
from tests.verl_backend.recipes import launch

pytestmark = [
    pytest.mark.verl,
    pytest.mark.timeout(900),
    pytest.mark.skipif(importlib.util.find_spec("verl") is None, reason="needs verl: make test-verl"),
]


LONG: dict[str, Any] = {
    "max_new_tokens": 80,
    "max_response_tokens": 500,
    "stop": list("abcdefghijklmnopqrstuvwxyz0123456789"),
}


def first_step(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """The sample rows of step 1, by problem and rollout. Later steps start from other weights."""
    samples = [row for row in rows(folder / "samples.jsonl") if row["kind"] == "train" and row["step"] == 1]
    return {(row["problem_id"], row["rollout"]): row for row in samples}


PARTNER: dict[str, Any] = {**THREE_TURNS["rollout"]["environment"], "slow": 0.1}
TOOLS: dict[str, Any] = {
    "name": "tool_use",
    "format": "tests.environments.tools.every_turn_calls:EveryTurnCalls",
    "max_turns": 3,
    "result_tokens": 40,
}
SPEAKERS = {"partner": "user", "calculator": "tool", "python": "tool"}
ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "partner": {"environment": PARTNER},
    # An untrained model writes letters and digits by chance: each ends a turn, and what stands before it is a call.
    "calculator": {"environment": {**TOOLS, "tools": ["calculator"]}, **LONG},
    "python": {"environment": {**TOOLS, "tools": [{"name": "python", "stateful": True}]}, **LONG},
}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_three_turns_are_the_same_locally_and_on_verl(environment: str, tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    recipe = {**THREE_TURNS, "rollout": {**THREE_TURNS["rollout"], **ENVIRONMENTS[environment]}}
    on_verl = merged(recipe, {"backend": "verl", "verl": {"platform": "cpu"}})
    (tmp_path / "verl").mkdir()
    process = launch(on_verl, tmp_path / "verl", PYTHONPATH=root)
    assert process.wait(timeout=600) == 0, (tmp_path / "verl" / "out.txt").read_text()[-3000:]
    path = write_recipe(tmp_path, recipe)
    local = subprocess.run(
        [sys.executable, "-m", "reasonrl.cli", "train", path, f"run_dir={tmp_path / 'local'}", "--offline"],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert local.returncode == 0, local.stderr
    ours, verls = first_step(tmp_path / "local"), first_step(tmp_path / "verl" / "run")
    assert len(ours) == 16 and ours.keys() == verls.keys()
    ended_turns = 0
    for key, row in ours.items():
        other = verls[key]
        if environment == "partner" or row["ended"] == "turns":
            assert [turn["role"] for turn in row["turns"]] == ["policy", SPEAKERS[environment]] * 2 + ["policy"]
            ended_turns += 1
        if environment != "partner":
            assert [{**call, "seconds": 0} for call in row["calls"]] == [{**c, "seconds": 0} for c in other["calls"]]
        for column in ("turns", "response_ids", "loss_mask", "response", "finish_reason", "response_tokens"):
            assert row[column] == other[column], (key, column)
        assert row["logprobs"] == pytest.approx(other["logprobs"], abs=2e-6)
        assert row["advantage"] == pytest.approx(other["advantage"], abs=1e-6)
    assert ended_turns >= 12
    steps = [row for row in rows(tmp_path / "verl" / "run" / "metrics.jsonl") if row["kind"] == "train"]
    assert [row["step"] for row in steps] == [1, 2]
    for row in steps:
        assert row["rollouts/failed"] == 0
        assert row["response/turns"] > 2.5 and row["response/environment_tokens"] > 0
        assert environment == "partner" or (row["tools/call_rate"] > 0.9 and row["tools/broken"] == 0)
        assert row["policy/rollout_gap_max"] < 1e-4
