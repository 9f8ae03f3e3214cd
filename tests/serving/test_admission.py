"""How many requests may be under way, and when the others may come back."""

from __future__ import annotations

import time
from contextlib import ExitStack
from unittest import mock

import pytest

from reasonrl.serving.admission import Admission, Full


def test_places_of_all_and_of_one_client() -> None:
    admission = Admission(most=3, most_of_one=2)
    with ExitStack() as stack:
        for client in ("a", "a"):
            stack.enter_context(admission.enter(client))
        with pytest.raises(Full, match="2 of your requests") as full, admission.enter("a"):
            pass
        assert (full.value.status, full.value.reason) == (429, "client")
        stack.enter_context(admission.enter("b"))
        with pytest.raises(Full, match="3 requests are under way") as full, admission.enter("c"):
            pass
        assert (full.value.status, full.value.reason) == (503, "server")
        assert admission.under_way == 3
    assert admission.under_way == 0
    with admission.enter("a"):
        assert admission.under_way == 1


def test_a_place_is_given_back_when_its_request_fails() -> None:
    admission = Admission(most=1)
    for _ in range(3):
        with pytest.raises(KeyError), admission.enter("a"):
            raise KeyError
    assert admission.under_way == 0
    assert not admission._of, "clients that have left are forgotten"


def test_nothing_is_let_in_while_the_server_drains() -> None:
    admission = Admission()
    with admission.enter("a"):
        admission.is_draining = True
        with pytest.raises(Full) as full, admission.enter("b"):
            pass
        assert (full.value.status, full.value.reason) == (503, "draining") and admission.under_way == 1


@pytest.mark.parametrize(("pause_s", "low", "high"), [(0.0, 1, 1), (4.0, 3.5, 4.5), (1000.0, 60, 60)])
def test_the_time_to_wait_follows_the_pace_of_the_requests(pause_s: float, low: float, high: float) -> None:
    admission = Admission(most=1)
    now = time.monotonic()
    with mock.patch("reasonrl.serving.admission.time.monotonic", lambda: now):
        for _ in range(40):
            with admission.enter("a"):
                now += pause_s
        with admission.enter("a"), pytest.raises(Full) as full, admission.enter("b"):
            pass
    assert low <= full.value.retry_after_s <= high


def test_the_first_who_is_sent_away_waits_a_second() -> None:
    admission = Admission(most=1)
    with admission.enter("a"), pytest.raises(Full) as full, admission.enter("b"):
        pass
    assert full.value.retry_after_s == 1
