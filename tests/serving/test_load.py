"""`benchmarks/serve_load.py`, small: what it counts and compares, and that it sees an answer that is lost or wrong."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")

from benchmarks import serve_load
from benchmarks.serve_load import ROUTES, Load, Reply, WrongAnswer, ask_alone, chats, load, make_jobs
from reasonrl.engines.served import ServedFailure
from tests.serving.fake_voices import FakeVoice, running_server
from tests.serving.scripts import echo, fake_service

CLIENTS, REQUESTS, TOKENS = 8, 42, 12


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serve_load.serving("tiny-critic", "tiny-critic", most_requests=64) as base:
        yield base


def test_no_answer_is_lost_or_mixed_up(address: str) -> None:
    jobs = make_jobs(2 * len(ROUTES), "actor", TOKENS)
    alone = asyncio.run(ask_alone(address, jobs))
    assert len({str(reply.content) for reply in alone}) == len(jobs), "answers that are alike prove nothing"
    loaded = asyncio.run(load(address, alone, clients=CLIENTS, requests=REQUESTS))
    assert loaded.problems == [] and len(loaded.replies) == REQUESTS
    assert Counter(reply.job.route for reply in loaded.replies) == dict.fromkeys(ROUTES, REQUESTS // len(ROUTES))
    figures = serve_load.summary(loaded)
    assert figures["requests"] == REQUESTS == figures["routes"]["all"]["requests"]
    assert figures["tokens_per_s"] * loaded.seconds == pytest.approx(3 * sum(reply.tokens for reply in alone))
    for row in figures["routes"].values():
        assert 0 < row["seconds"]["p50"] <= row["seconds"]["p90"] <= row["seconds"]["p99"]
        assert row["first_text_s"]["p99"] <= row["seconds"]["p99"]


def test_what_is_asked_at_once_gets_what_it_gets_one_by_one(address: str) -> None:
    seconds = asyncio.run(serve_load.gathering(address, chats(4, "actor", TOKENS), rounds=1))
    assert len(seconds) == 1 and min(*seconds[0]) > 0


# ---------------------------------------------------------------- what goes wrong is seen


def wrong_the_second_time() -> Callable[..., str]:
    """Answers each question once as `echo`, and afterwards with what another seed would get."""
    seen: set[Any] = set()

    def answers(chat: Any, seed: int) -> str:
        key = (chat[-1]["content"], seed)
        is_new = key not in seen
        seen.add(key)
        return echo(chat, seed if is_new else seed + 1)

    return answers


def failing_after(count: int) -> Callable[..., str]:
    numbers = itertools.count()

    def answers(chat: Any, seed: int) -> str:
        if next(numbers) >= count:
            raise ServedFailure("gone")
        return echo(chat, seed)

    return answers


def loaded_by(answers: Callable[..., str]) -> Load:
    """What 4 clients see of a model that answers so. They ask two chats, one of them streamed, 16 times in all."""
    jobs = [job for job in make_jobs(len(ROUTES), "solver", TOKENS) if job.route.startswith("chat")]
    with running_server(fake_service(FakeVoice("solver", answers))) as base:
        alone = asyncio.run(ask_alone(base, jobs))
        assert len(alone) == 2
        return asyncio.run(load(base, alone, clients=4, requests=16))


def test_an_answer_that_belongs_to_another_request_is_seen() -> None:
    loaded = loaded_by(wrong_the_second_time())
    assert len(loaded.problems) == len(loaded.replies) == 16
    assert all("alone it gets another answer" in problem for problem in loaded.problems)


def test_an_answer_that_does_not_come_is_seen() -> None:
    loaded = loaded_by(failing_after(2 + 5))
    assert len(loaded.replies) == 5
    assert [problem for problem in loaded.problems if "status 502" in problem] == loaded.problems
    assert len(loaded.problems) == 11


def test_a_stream_that_ends_early_is_seen() -> None:
    class Breaks(FakeVoice):
        async def stream(self, *arguments: Any) -> Any:
            yield "half an answer"
            raise ServedFailure("gone")

    (job,) = (job for job in make_jobs(len(ROUTES), "solver", TOKENS) if job.route == "chat, streamed")

    async def ask(base: str) -> Reply:
        async with serve_load.asking(base) as client:
            return await serve_load.ask(client, job)

    with (
        running_server(fake_service(Breaks("solver", echo))) as base,
        pytest.raises(WrongAnswer, match="a model behind this server did not answer"),
    ):
        asyncio.run(ask(base))


def test_requests_that_the_server_does_not_count_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([{"ended": 10.0, "running": 0.0}, {"ended": 25.0, "running": 1.0}])
    monkeypatch.setattr(serve_load, "counted", lambda base: next(counts))
    loaded = loaded_by(echo)
    assert loaded.problems == [
        "16 requests were sent, and the server counts 15",
        "1 requests are under way at the end",
    ]


def test_figures_of_times_that_are_known() -> None:
    (job,) = chats(1, "solver", TOKENS)
    replies = [Reply(job, {}, 10, number / 100, number / 200) for number in range(101)]
    figures = serve_load.summary(Load(replies, [], 4.0))
    assert figures["routes"]["chat"]["seconds"] == pytest.approx({"p50": 0.5, "p90": 0.9, "p99": 0.99})
    assert figures["routes"]["chat"]["first_text_s"] == pytest.approx({"p50": 0.25, "p90": 0.45, "p99": 0.495})
    assert figures["requests_per_s"] == 25.25 and figures["tokens_per_s"] == 252.5
    assert serve_load.gain([(6.0, 2.0), (8.0, 2.0), (10.0, 2.0)]) == 4
