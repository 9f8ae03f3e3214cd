"""An evaluation that is killed thirty times gives the files of one that was not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.evaluation.benchmarks.kills import KilledEvaluation

KILLS = 30


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_thirty_kills(tmp_path: Path) -> None:
    rng = random.Random()
    evaluation = KilledEvaluation(tmp_path, "tiny-critic")
    kills = found_there = 0
    while kills < KILLS:
        if evaluation.kill(rng, after_first_chunk=kills % 3 == 0):
            kills += 1
            if kills % 6:
                continue
        found_there += evaluation.finish()  # also where it had ended before the kill
    assert found_there > 0, "no kill left an answer behind, so nothing was tested"
