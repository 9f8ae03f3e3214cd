"""Ten thousand hostile programs in a row, with honest ones beside them."""

from __future__ import annotations

import pytest

from tests.verifiers.sandbox.conftest import need
from tests.verifiers.sandbox.storm import check


@pytest.mark.soak
@pytest.mark.timeout(5400)
def test_10_000_hostile_programs_leave_the_judge_and_the_honest_as_they_were() -> None:
    need("bubblewrap")

    print(check(10_000, seed=10))
