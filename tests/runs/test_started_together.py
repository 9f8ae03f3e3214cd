"""Two trainings, two resumes, a training and an export, started together. `make soak`: 50 times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs.started_together import SCENARIOS, race, run_alone


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_alone(tmp_path_factory.mktemp("together"))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_one_runs_and_the_other_is_refused(scenario: str, alone: Path) -> None:
    race(scenario, alone.parent, alone)
