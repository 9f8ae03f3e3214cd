"""`reasonrl serve` under load, with a real model: 64 clients, what they gain from one batch, and what goes wrong beside
them: SIGTERM, a dead upstream server, clients that leave.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")

from benchmarks import serve_load
from benchmarks.serve_load import (
    ROUTES,
    Job,
    Load,
    Reply,
    WrongAnswer,
    ask,
    ask_alone,
    ask_by_clients,
    asking,
    chats,
    counted,
    load,
    make_jobs,
)
from tests.serving.scripts import until
from tests.serving.server_process import Served, free_port, serving
from tests.soak.test_side_by_side import MOST_WAIT_S, is_idle_within

CLIENTS, TOKENS = 64, 48
LEAST_GAIN = 3.0
HOUSE = Path(__file__).parents[2]
UPSTREAM = """
import sys
from tests.engines.fake_server import FakeServer, Handler
server = FakeServer(("127.0.0.1", int(sys.argv[1])), Handler)
server.asked, server.mode = [], sys.argv[2]
server.serve_forever()
"""

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]


# ---------------------------------------------------------------- load


def test_64_clients_get_what_they_get_alone() -> None:
    with serve_load.serving("tiny-critic", "tiny-critic", most_requests=256) as base:
        alone = asyncio.run(ask_alone(base, make_jobs(20 * len(ROUTES), "actor", TOKENS)))
        loaded = asyncio.run(load(base, alone, clients=CLIENTS, requests=10 * CLIENTS))
    assert loaded.problems == [] and len(loaded.replies) == 10 * CLIENTS


def test_64_requests_at_once_are_three_times_as_fast_as_one_by_one() -> None:
    if not is_idle_within(MOST_WAIT_S):
        pytest.skip("another program uses this machine: time measured now says nothing")
    with serve_load.serving("tiny-critic", "tiny-critic", most_requests=256) as base:
        seconds = asyncio.run(serve_load.gathering(base, chats(CLIENTS, "actor", TOKENS), rounds=3))
    assert serve_load.gain(seconds) >= LEAST_GAIN, seconds


# ---------------------------------------------------------------- SIGTERM


@dataclass
class Drain:
    """Clients that ask again and again, until the server sends them away.

    Attributes:
        under_way: the clients that wait for an answer.
        right: answers that are those of the requests alone.
        wrong: what is neither an answer nor a refusal, or another answer.
        refusals: of each client, how it was sent away.
        streamed: clients whose last answer was a stream. Its head was sent before the signal and could not say that the
            connection ends: who asks again on it in that moment sees a reset.
    """

    alone: Sequence[Reply]
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: set[int] = field(default_factory=set)
    right: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    refusals: dict[int, str] = field(default_factory=dict)
    streamed: set[int] = field(default_factory=set)

    async def one_client(self, base: str, number: int) -> None:
        draw = random.Random(number)
        async with asking(base) as client:
            while number not in self.refusals:
                await self.gate.wait()
                expected = draw.choice(self.alone)
                self.under_way.add(number)
                try:
                    reply = await ask(client, expected.job)
                except httpx.ConnectError as error:
                    self.refusals[number] = repr(error)
                except (WrongAnswer, httpx.HTTPError) as error:
                    self.refusals[number] = repr(error)
                    is_reset = isinstance(error, httpx.ReadError | httpx.RemoteProtocolError)
                    if "status 503" not in str(error) and not (is_reset and number in self.streamed):
                        self.wrong.append(repr(error))
                else:
                    if reply.content == expected.content:
                        self.right.append(number)
                    else:
                        self.wrong.append(f"another answer to {expected.job}")
                    (self.streamed.add if expected.job.body.get("stream") else self.streamed.discard)(number)
                finally:
                    self.under_way.discard(number)

    async def run(self, served: Served) -> set[int]:
        """Sends SIGTERM in the middle. Returns the clients whose requests were under way then."""
        self.gate.set()
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self.one_client(served.base, number))
            while len(self.right) < 2 * CLIENTS:
                await asyncio.sleep(0.05)
            # No new request is on its way when the signal is sent, so that each is clearly before it or behind it.
            self.gate.clear()
            while (await asyncio.to_thread(counted, served.base))["running"] != len(self.under_way):
                await asyncio.sleep(0.01)
            waiting = set(self.under_way)
            served.process.send_signal(signal.SIGTERM)
            self.right.clear()
            await asyncio.sleep(0.5)
            self.gate.set()
        return waiting


def test_sigterm_lets_64_clients_have_their_answers_and_sends_new_ones_away(tmp_path: Path) -> None:
    with serving(tmp_path, "--max-new-tokens", str(TOKENS)) as served:
        alone = asyncio.run(ask_alone(served.base, make_jobs(5 * len(ROUTES), "tiny-critic", TOKENS)))
        drain = Drain(alone)
        waiting = asyncio.run(drain.run(served))
        assert served.process.wait(40) == 0
    assert len(waiting) >= CLIENTS // 4, "too few requests were under way for this test"
    assert drain.wrong == [] and sorted(drain.right) == sorted(waiting)
    assert sorted(drain.refusals) == list(range(CLIENTS)), "each client was sent away in the end"


# ---------------------------------------------------------------- a dead upstream server


@contextlib.contextmanager
def upstream(port: int, mode: str) -> Iterator[subprocess.Popen[bytes]]:
    """An OpenAI-compatible server in a process of its own, which is killed at the end."""
    process = subprocess.Popen([sys.executable, "-c", UPSTREAM, str(port), mode], cwd=HOUSE)

    def is_ready() -> bool:
        assert process.poll() is None
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{port}/v1/models", timeout=5).status_code == 200
        return False

    try:
        until(is_ready, 30)
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_killed_upstream_server_fails_its_requests_alone(tmp_path: Path) -> None:
    port = free_port()
    jobs = [*make_jobs(4 * len(ROUTES), "actor", TOKENS), *chats(16, "tiny-critic", TOKENS)]
    is_local = [job.body.get("model") in (None, "tiny-critic") for job in jobs]

    async def ask_all(base: str, dying: subprocess.Popen[bytes]) -> list[Reply | BaseException]:
        async with asking(base) as client:
            answers = asyncio.gather(*(ask(client, job) for job in jobs), return_exceptions=True)
            while (await asyncio.to_thread(counted, base))["running"] < is_local.count(False):
                await asyncio.sleep(0.02)
            dying.kill()
            return await answers

    with contextlib.ExitStack() as stack:
        first = stack.enter_context(upstream(port, "echo"))
        actor = ("--actor", f"http://127.0.0.1:{port}/v1", "--actor-name", "actor")
        served = stack.enter_context(serving(tmp_path, *actor, "--max-new-tokens", str(TOKENS)))
        alone = asyncio.run(ask_alone(served.base, jobs))
        first.kill()
        first.wait()
        second = stack.enter_context(upstream(port, "stall"))
        answers = asyncio.run(ask_all(served.base, second))
        for local, answer, expected in zip(is_local, answers, alone, strict=True):
            if local:
                assert isinstance(answer, Reply) and answer.content == expected.content, (expected.job, answer)
            else:
                assert isinstance(answer, WrongAnswer) and "did not answer" in str(answer), (expected.job, answer)
                assert str(port) not in str(answer)
        stack.enter_context(upstream(port, "echo"))
        again = asyncio.run(ask_alone(served.base, jobs))
        assert [reply.content for reply in again] == [reply.content for reply in alone]
        assert counted(served.base)["running"] == 0


# ---------------------------------------------------------------- clients that leave


def test_clients_that_leave_in_mid_stream_change_no_answer(tmp_path: Path) -> None:
    long = [replace(job, body={**job.body, "stream": True}) for job in chats(32, "tiny-critic", 400)]
    visits = 0

    async def leave(base: str, job: Job) -> None:
        """Asks, reads a few lines, and goes, until it is cancelled."""
        nonlocal visits
        async with asking(base) as client:
            while True:
                async with client.stream("POST", job.path, json=job.body) as answer:
                    assert answer.status_code == 200
                    lines = answer.aiter_lines()
                    for _ in range(8):
                        await anext(lines, None)
                visits += 1

    async def run_clients(base: str, alone: Sequence[Reply]) -> Load:
        leaving = [asyncio.create_task(leave(base, job)) for job in long]
        loaded = await ask_by_clients(base, alone, clients=CLIENTS, requests=4 * CLIENTS)
        for task in leaving:
            task.cancel()
        ends = await asyncio.gather(*leaving, return_exceptions=True)
        assert [end for end in ends if not isinstance(end, asyncio.CancelledError)] == []
        return loaded

    with serving(tmp_path, "--max-new-tokens", str(TOKENS)) as served:
        alone = asyncio.run(ask_alone(served.base, make_jobs(10 * len(ROUTES), "tiny-critic", TOKENS)))
        loaded = asyncio.run(run_clients(served.base, alone))
        assert loaded.problems == [] and len(loaded.replies) == 4 * CLIENTS
        until(lambda: counted(served.base)["running"] == 0, 20)
        (cancelled,) = re.findall(r"^reasonrl:cancelled_total ([\d.]+)$", served.get("/metrics").text, re.MULTILINE)
    assert float(cancelled) > visits / 2 > len(long) / 2, "too few left in mid-stream for this test"
