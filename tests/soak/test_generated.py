"""500 generated inputs, others each time. `.venv/bin/python -m tests.generated.survey` counts them by exit code."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.generated.case import check
from tests.generated.mixture import GROUPS, cases, examples

IN_A_SOAK = 500


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("group", GROUPS)
def test_what_is_wrong_is_refused_and_what_is_right_is_done(group: str) -> None:
    @settings(
        max_examples=examples(group, IN_A_SOAK),
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def every_case(data: st.DataObject) -> None:
        check(data.draw(cases(group)))

    every_case()
