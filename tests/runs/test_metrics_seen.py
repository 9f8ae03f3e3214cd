"""Every metric that the local trainer is said to write is in a row of a real run, and no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl.commands.evaluate import eval_command
from reasonrl.recipe.reading import parse_recipe
from reasonrl.stages.run import train
from tests import metric_runs
from tests.engines.fake_server import running
from tests.metrics_seen import assert_written, missing_names, rows_below
from tests.tiny_runs import merged


def run_recipe(recipe: dict[str, Any], folder: Path) -> Path:
    loaded = parse_recipe(yaml.safe_dump(recipe), "test")
    train(loaded, folder / loaded.stages[0].name, offline=True, quiet=True)
    return folder / loaded.stages[0].name


def test_every_metric_of_the_local_trainer(tmp_path: Path) -> None:
    recipes = [
        metric_runs.all_methods(),
        metric_runs.critique_grpo(),
        metric_runs.supervised(),
        metric_runs.reviewed(),
        metric_runs.tools(),
        metric_runs.critic(tmp_path),
        metric_runs.offline(tmp_path),
    ]
    metric_rows = rows_below(*(run_recipe(recipe, tmp_path) for recipe in recipes))
    with running() as server:
        server.mode = "refused"
        role = {"model": f"http://127.0.0.1:{server.server_port}/v1", "served_name": "tiny"}
        unrefined = merged(metric_runs.critique_grpo(), {"name": "unrefined", "critique_grpo": {"critic": role}})
        metric_rows += rows_below(run_recipe(unrefined, tmp_path))
    metric_rows.append(controls(tmp_path / "critic", tmp_path / "evaluated"))
    assert_written(metric_rows, "local")


def controls(run: Path, output: Path) -> dict[str, Any]:
    """The metrics of `reasonrl eval RUN --controls`."""
    eval_command(
        str(run),
        data=None,
        recipe=None,
        n=0,
        temperature=None,
        limit=None,
        output=output,
        overrides=[],
        seed=0,
        offline=True,
        as_json=True,
        controls=True,
    )
    metrics: dict[str, Any] = json.loads((output / "results.json").read_text())["metrics"]
    return metrics


def test_what_is_missing_and_what_is_misplaced_fails() -> None:
    assert "policy/entropy" in missing_names([{"kind": "train", "step": 1, "reward/mean": 0.5}], "local")
    with pytest.raises(AssertionError, match="no row holds them: accuracy/train, "):
        assert_written([{"kind": "train", "step": 1, "reward/mean": 0.5}], "local")
    with pytest.raises(ValueError, match="local is not registered to write: 'loss/value'"):
        assert_written([{"kind": "train", "step": 1, "loss/value": 0.5}], "local")
