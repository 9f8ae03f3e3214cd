"""Three real runs on verl write every metric that the registry says verl writes, and no other."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.metrics_seen import assert_written, rows_below
from tests.verl_backend.conftest import Run

pytestmark = [
    pytest.mark.verl,
    pytest.mark.timeout(900),
    pytest.mark.skipif(importlib.util.find_spec("verl") is None, reason="needs verl: make test-verl"),
]


def test_every_metric_of_verl_is_written_and_registered(run: Run, critic_run: Path, tool_run: Path) -> None:
    stages = critic_run / "stages"
    rows = rows_below(run.stage, stages / "03-critic", stages / "04-policy", tool_run)
    assert_written(rows, "verl")
