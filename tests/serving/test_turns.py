"""Calls take turns: who is next, that none is lost, and that a large request does not hold up a small one."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from reasonrl.engines.served import ServedModel
from reasonrl.serving.service import Service
from reasonrl.serving.turns import Turns, asking
from reasonrl.serving.voices import ServedVoice
from tests.engines.fake_server import running
from tests.serving.fake_voices import running_server
from tests.serving.scripts import fake_players, until


def order_of(turns: Turns, requests: list[tuple[str, int]]) -> list[str]:
    """Who came in which order, where each request (client, calls) has made all its calls before any ends."""
    order: list[str] = []

    async def call(name: str) -> None:
        async with turns.turn():
            order.append(name)
            await asyncio.sleep(0)

    async def run() -> None:
        first = turns.turn()
        await first.__aenter__()
        tasks = []
        for number, (client, calls) in enumerate(requests):
            with asking(client):
                tasks += [asyncio.create_task(call(f"{client}{number}")) for _ in range(calls)]
        await asyncio.sleep(0)
        await first.__aexit__(None, None, None)
        await asyncio.gather(*tasks)

    asyncio.run(run())
    return order


def test_clients_and_then_their_requests_come_in_turn() -> None:
    order = order_of(Turns(1), [("a", 4), ("a", 2), ("b", 3)])
    assert order == ["a0", "b2", "a1", "b2", "a0", "b2", "a1", "a0", "a0"]


def test_a_call_of_a_small_request_waits_for_one_of_a_large_one() -> None:
    order = order_of(Turns(1), [("a", 1000), ("b", 1)])
    assert order.index("b1") == 1 and len(order) == 1001


@pytest.mark.parametrize("seed", range(20))
def test_there_are_never_more_and_none_is_lost_whoever_leaves(seed: int) -> None:
    rng = random.Random(seed)
    turns = Turns(rng.randint(1, 4))
    most, ended = 0, 0

    async def call() -> None:
        nonlocal most, ended
        async with turns.turn():
            most = max(most, turns.under_way)
            await asyncio.sleep(rng.random() / 200)
            if rng.random() < 0.1:
                raise KeyError
        ended += 1

    async def run() -> int:
        tasks = []
        for number in range(60):
            with asking(rng.choice("abc")):
                tasks.append(asyncio.create_task(call()))
            if rng.random() < 0.3:
                await asyncio.sleep(rng.random() / 300)
            if rng.random() < 0.3:
                tasks[rng.randrange(number + 1)].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        return sum(result is None for result in results)

    assert asyncio.run(run()) == ended > 0
    assert most == turns.most and (turns.under_way, turns.waiting) == (0, 0)


def test_one_who_leaves_as_its_turn_comes_passes_it_on() -> None:
    async def run() -> None:
        turns = Turns(1)
        first = turns.turn()
        await first.__aenter__()
        second, third = (asyncio.create_task(_one(turns)) for _ in range(2))
        await asyncio.sleep(0)
        await first.__aexit__(None, None, None)  # it is the second's turn, which has not heard of it yet
        second.cancel()
        await asyncio.wait_for(third, 1)
        assert second.cancelled() and turns.under_way == 0

    asyncio.run(run())


async def _one(turns: Turns) -> None:
    async with turns.turn():
        pass


def test_a_request_of_a_thousand_calls_lets_the_others_in_and_nobody_is_sent_away() -> None:
    """16 choices of 64 drafts, on a server that takes four calls at a time."""
    with running() as upstream:
        model = ServedModel(f"http://127.0.0.1:{upstream.server_port}/v1", "tiny")
        voice = ServedVoice("solver", model, Turns(4))
        service = Service(replace(fake_players(), actor=voice), {})

        def ask(base: str, **more: Any) -> httpx.Response:
            body = {"model": "solver", "messages": [{"role": "user", "content": "2 + 3?"}], **more}
            return httpx.post(f"{base}/v1/chat/completions", json=body, timeout=60)

        with running_server(service) as base, ThreadPoolExecutor(1) as pool:
            large = pool.submit(ask, base, model="majority-solver", n=16, reasonrl={"samples": 64})
            until(lambda: voice.turns.waiting > 800)
            assert ask(base).status_code == 200
            assert voice.turns.waiting > 500 and not large.done(), "the small one did not wait for the large one"
            text = httpx.get(f"{base}/metrics").text
            waiting = next(line for line in text.splitlines() if line.startswith("reasonrl:num_requests_waiting "))
            assert float(waiting.split()[1]) > 100
            answer = large.result()
        assert answer.status_code == 200 and answer.json()["usage"]["reasonrl"]["roles"]["actor"]["calls"] == 1024
    assert (voice.turns.under_way, voice.turns.waiting) == (0, 0)
