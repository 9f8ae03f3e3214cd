"""Recipes for the tiny model, and ways to run them: in this process for what is inside, as a command for what a user
sees.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from reasonrl.recipe.reading import parse_recipe
from reasonrl.runs.console import TrainConsole
from reasonrl.runs.folder import RunFolder
from reasonrl.stages.context import StageContext
from reasonrl.stages.run_stage import prepare

SUMS = {"operations": "+", "terms": [2, 2], "low": 0, "high": 9, "test_share": 0.25}

TINY: dict[str, Any] = {
    "name": "tiny",
    "seed": 1,
    "threads": 1,
    "device": "cpu",
    "model": {"path": "tiny-arithmetic"},
    "data": {
        "train": {"source": "arithmetic", "options": {**SUMS, "size": 30, "split": "train"}},
        "heldout": {"sums": {"source": "arithmetic", "options": {**SUMS, "size": 6, "split": "test"}}},
        "prompt": {"style": "text", "template": "{question} ="},
    },
    "verifier": {"name": "math", "mode": "whole"},
    "rollout": {"rollouts_per_prompt": 4, "max_new_tokens": 4, "stop": ["\n"]},
    "train": {"steps": 3, "prompts_per_step": 4},
    "optim": {"lr": 1e-3},
    "evaluation": {"samples_per_problem": 2},
}


def tiny(**changes: Any) -> dict[str, Any]:
    """The tiny recipe with sections laid over it, one level deep and deeper."""
    return merged(TINY, changes)


def merged(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return {**copy.deepcopy(base), **{key: merged(base.get(key), value) for key, value in over.items()}}
    return copy.deepcopy(over)


def context(folder: Path, recipe: dict[str, Any] | None = None) -> StageContext:
    """A stage that is ready to make its first step."""
    chosen = parse_recipe(yaml.safe_dump(recipe or TINY), "test").stages[0]
    run = RunFolder(folder / "run")
    run.open(after_step=None)
    return prepare(
        chosen,
        run,
        TrainConsole(chosen.total_steps, quiet=True),
        init_from=chosen.model.path,
        checkpoint=None,
        offline=True,
    )


def write_recipe(folder: Path, recipe: dict[str, Any], name: str = "tiny.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "reasonrl.cli", *map(str, arguments)]


def run(folder: Path, *arguments: str | Path, timeout: float = 120, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        **{"env": environment(), **more},
    )


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
