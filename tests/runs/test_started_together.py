"""Two trainings, two resumes, a training and an export, started together three times each. `make soak`: 50 times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs.started_together import SCENARIOS, race, run_alone

IN_THE_SUITE = 3


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_alone(tmp_path_factory.mktemp("together"))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_one_runs_and_the_other_is_refused(scenario: str, alone: Path) -> None:
    for _ in range(IN_THE_SUITE):
        race(scenario, alone.parent, alone)
