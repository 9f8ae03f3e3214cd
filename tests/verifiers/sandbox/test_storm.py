"""A small number of what `make soak` runs ten thousand of."""

from __future__ import annotations

import platform

import pytest

from tests.verifiers.sandbox.conftest import need
from tests.verifiers.sandbox.storm import check

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.slow,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the attacks use the call numbers of x86-64"),
]


def test_300_hostile_programs_in_a_row_leave_the_judge_and_the_honest_as_they_were() -> None:
    need("bubblewrap")

    check(300, seed=7)
