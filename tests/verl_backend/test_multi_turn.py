"""Episodes of up to three turns with tools, through verl's agent loop: the same ids, masks and log-probs as in a local
run.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import metric_runs
from tests.tiny_runs import rows, write_recipe

pytestmark = [
    pytest.mark.verl,
    pytest.mark.timeout(900),
    pytest.mark.skipif(importlib.util.find_spec("verl") is None, reason="needs verl: make test-verl"),
]


def first_step(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """The sample rows of step 1, by problem and rollout. Later steps start from other weights."""
    samples = [row for row in rows(folder / "samples.jsonl") if row["kind"] == "train" and row["step"] == 1]
    return {(row["problem_id"], row["rollout"]): row for row in samples}


def without_time(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in call.items() if name != "seconds"} for call in calls]


def test_turns_with_tools_are_the_same_locally_and_on_verl(tool_run: Path, tmp_path: Path) -> None:
    path = write_recipe(tmp_path, metric_runs.tools())
    local = subprocess.run(
        [sys.executable, "-m", "reasonrl.cli", "train", path, f"run_dir={tmp_path / 'local'}", "--offline"],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert local.returncode == 0, local.stderr
    ours, verls = first_step(tmp_path / "local"), first_step(tool_run)
    assert len(ours) == 16 and ours.keys() == verls.keys()
    for key, row in ours.items():
        other = verls[key]
        for column in ("turns", "response_ids", "loss_mask", "response", "finish_reason", "response_tokens", "ended"):
            assert row.get(column) == other.get(column), (key, column)
        assert without_time(row["calls"]) == without_time(other["calls"])
        assert row["logprobs"] == pytest.approx(other["logprobs"], abs=2e-6)
        assert row["advantage"] == pytest.approx(other["advantage"], abs=1e-6)
    of_three = [row for row in ours.values() if len(row["turns"]) == 5]
    assert len(of_three) >= 2
    assert {turn["role"] for row in of_three for turn in row["turns"]} == {"policy", "tool"}
    assert {call["tool"] for row in of_three for call in row["calls"]} == {"calculator", "python"}
    (step,) = [row for row in rows(tool_run / "metrics.jsonl") if row["kind"] == "train"]
    assert step["rollouts/failed"] == 0 and step["tools/broken"] == 0
    assert step["response/turns"] > 1.4 and step["response/environment_tokens"] > 0
    assert step["policy/rollout_gap_max"] < 1e-4
