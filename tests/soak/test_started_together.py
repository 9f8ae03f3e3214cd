"""Two trainings, two resumes, a training and an export, started together 50 times each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs.started_together import SCENARIOS, race, run_alone

IN_A_SOAK = 50


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_alone(tmp_path_factory.mktemp("together"))


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_one_runs_and_the_other_is_refused(scenario: str, alone: Path) -> None:
    for _ in range(IN_A_SOAK):
        race(scenario, alone.parent, alone)
