"""Real runs with `rollout.engine: vllm` write every metric that the registry says such runs write, and no other."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import metric_runs
from tests.metrics_seen import assert_written, rows_below
from tests.tiny_runs import merged
from tests.verl_backend.recipes import EVERYTHING, critique

VLLM = {"engine": "vllm", "vllm": {"kv_cache_gib": 1}}

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="needs vLLM: make test-vllm"),
]


def on_vllm(recipe: dict[str, Any], **changes: Any) -> dict[str, Any]:
    local = {key: value for key, value in recipe.items() if key not in ("backend", "verl")}
    return merged(merged(local, {"rollout": VLLM}), changes)


def recipes(folder: Path) -> dict[str, dict[str, Any]]:
    """Every method on; a critic whose critiques are refined on; Critique-GRPO, then an offline stage; tools."""
    methods = on_vllm(EVERYTHING, evaluation={"samples_per_problem": 2})
    methods["stages"] = [
        merged(methods["stages"][0], {"sft": {"steps": 60}}),
        merged(methods["stages"][1], {"train": {"steps": 3, "overlong": {"buffer_tokens": 2}}}),
    ]
    grpo, offline = metric_runs.critique_grpo(VLLM), metric_runs.offline(folder)
    stage_keys = ("name", "kind", "data", "train", "critique_grpo", "offline")
    stages = [{key: recipe[key] for key in stage_keys if key in recipe} for recipe in (grpo, offline)]
    shared = {key: value for key, value in grpo.items() if key not in stage_keys}
    return {
        "methods": methods,
        "critic": on_vllm(critique()),
        "others": {"name": "others", **shared, "stages": stages},
        "tools": metric_runs.tools(VLLM),
    }


def test_every_metric_of_a_run_on_vllm(tmp_path: Path) -> None:
    for name, recipe in recipes(tmp_path).items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(recipe, sort_keys=False))
        command = [sys.executable, "-m", "reasonrl.cli", "train", str(path), f"run_dir={tmp_path / name}", "--offline"]
        finished = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=400, check=False)
        assert finished.returncode == 0, finished.stdout[-1000:] + finished.stderr[-3000:]
    assert_written(rows_below(*(tmp_path / name for name in ("methods", "critic", "others", "tools"))), "vllm")
