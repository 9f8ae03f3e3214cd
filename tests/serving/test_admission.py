"""How many requests may be under way, and when the others may come back."""

from __future__ import annotations

import asyncio
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
def test_the_time_to_wait_is_that_of_the_oldest_request(pause_s: float, low: float, high: float) -> None:
    admission = Admission(most=1)
    now = time.monotonic()
    with mock.patch("reasonrl.serving.admission.time.monotonic", lambda: now):
        for _ in range(40):
            with admission.enter("a"):
                now += pause_s
        with admission.enter("a"), pytest.raises(Full) as full, admission.enter("b"):
            pass
    assert low <= full.value.retry_after_s <= high


def test_an_hour_of_silence_does_not_count_and_each_client_waits_for_its_own() -> None:
    admission = Admission(most=3, most_of_one=1)
    now = 0.0
    with mock.patch("reasonrl.serving.admission.time.monotonic", lambda: now), ExitStack() as stack:
        for _ in range(10):
            with admission.enter("a"):
                now += 10
        now += 3600
        stack.enter_context(admission.enter("a"))
        now += 7
        stack.enter_context(admission.enter("b"))
        stack.enter_context(admission.enter("c"))
        waits = {}
        for client in "abd":
            with pytest.raises(Full) as full, admission.enter(client):
                pass
            waits[client] = full.value.status, full.value.retry_after_s
    assert waits == {"a": (503, 3), "b": (503, 3), "d": (503, 3)}
    admission = Admission(most=9, most_of_one=1)
    with mock.patch("reasonrl.serving.admission.time.monotonic", lambda: now), ExitStack() as stack:
        with admission.enter("a"):
            now += 10
        stack.enter_context(admission.enter("a"))
        now += 7
        stack.enter_context(admission.enter("b"))
        with pytest.raises(Full) as full, admission.enter("b"):
            pass
        assert (full.value.status, full.value.retry_after_s) == (429, 10)


def test_the_first_who_is_sent_away_waits_a_second() -> None:
    admission = Admission(most=1)
    with admission.enter("a"), pytest.raises(Full) as full, admission.enter("b"):
        pass
    assert full.value.retry_after_s == 1


# ---------------------------------------------------------------- in turn


def test_who_waits_is_let_in_first_come_first_served() -> None:
    admission = Admission(most=2, most_of_one=1)
    order: list[str] = []

    async def one(client: str, name: str) -> None:
        async with admission.in_turn(client):
            order.append(name)
            assert admission.under_way <= 2 and admission._of[client] == 1
            await asyncio.sleep(0.01)

    async def run() -> None:
        names = [("a", "a1"), ("a", "a2"), ("b", "b1"), ("b", "b2"), ("c", "c1"), ("a", "a3")]
        await asyncio.gather(*(one(client, name) for client, name in names))

    asyncio.run(run())
    assert order[:2] == ["a1", "b1"] and sorted(order) == ["a1", "a2", "a3", "b1", "b2", "c1"]
    assert order.index("a2") < order.index("a3") and admission.under_way == 0 and not admission._waiting


@pytest.mark.parametrize("came", [False, True], ids=["waiting", "its turn came"])
def test_who_leaves_the_queue_leaves_no_place_taken(came: bool) -> None:
    admission = Admission(most=1)

    async def run() -> None:
        async def second() -> None:
            async with admission.in_turn("b"):
                raise AssertionError("it has left")

        with ExitStack() as first:
            first.enter_context(admission.enter("a"))
            task = asyncio.create_task(second())
            await asyncio.sleep(0)
            if came:
                first.close()
                assert admission._of == {"b": 1}
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert admission.under_way == 0
        async with admission.in_turn("c"):
            assert admission.under_way == 1

    asyncio.run(run())
    assert not admission._waiting


def test_who_waits_while_the_server_drains_is_sent_away() -> None:
    admission = Admission(most=1)

    async def waits() -> None:
        async with admission.in_turn("b"):
            raise AssertionError("the server ends")

    async def run() -> None:
        for cut_off in (False, True):
            admission.is_draining = False
            with admission.enter("a"):
                task = asyncio.create_task(waits())
                await asyncio.sleep(0)
                admission.is_draining = True
                if cut_off:
                    task.cancel()
                    await asyncio.sleep(0)
            with pytest.raises(Full) as full:
                await task
            assert full.value.reason == "draining"
        with pytest.raises(Full):
            await waits()

    asyncio.run(run())
    assert admission.under_way == 0 and not admission._waiting
