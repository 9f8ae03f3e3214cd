"""A served model, against a server that does what servers do: answer, stall, break, answer nonsense."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from reasonrl.engines.base import Sampling
from reasonrl.engines.served import LONGEST_WAIT_S, ServedFailure, ServedModel, _retry_after_s
from reasonrl.errors import ModelError
from tests.engines.fake_server import FakeServer, running
from verifiers.response import strip_thinking

CHAT: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running() as made:
        yield made


def model(server: FakeServer, **options: Any) -> ServedModel:
    return ServedModel(f"http://127.0.0.1:{server.server_port}/v1", retry_wait_s=0.01, **options)


def say(served: ServedModel, count: int = 1, sampling: Sampling | None = None) -> list[tuple[str, str]]:
    settings = sampling or Sampling(7, 0.5, stop=("\n",))
    answers = asyncio.run(served.say_many([CHAT] * count, settings, list(range(count))))
    return [(answer.text, answer.finish_reason) for answer in answers]


def test_answers_in_order_with_its_settings(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret")
    served = model(server, api_key_env="MY_KEY")
    served.check()
    assert served.name == "tiny"
    assert say(served, 3) == [("HELLO", "stop")] * 3
    asked = server.asked[0]
    assert (asked["model"], asked["max_tokens"], asked["temperature"], asked["stop"]) == ("tiny", 7, 0.5, ["\n"])
    assert asked["key"] == "Bearer secret" and {row["seed"] for row in server.asked} == {0, 1, 2}
    server.mode = "long"
    assert say(served) == [("HELLO", "length")]


def test_a_busy_server_is_asked_again(server: FakeServer) -> None:
    server.mode = "busy"
    assert say(model(server, name="tiny")) == [("HELLO", "stop")] and len(server.asked) == 3


def test_the_pause_that_a_server_asks_for(server: FakeServer) -> None:
    server.mode = "wait"
    started = time.monotonic()
    assert say(model(server, name="tiny")) == [("HELLO", "stop")] and time.monotonic() - started >= 0.4
    for header in (None, "", "soon", "-3", "nan"):
        assert _retry_after_s(header) == 0
    assert _retry_after_s("7") == 7 and _retry_after_s("1e9") == LONGEST_WAIT_S


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("broken", "cannot be read"),
        ("empty", "cannot be read: IndexError"),
        ("null", "its message has no text"),
        ("refused", "status 400: .*context too long"),
        ("stall", r"no answer within 0.3 s \(3 attempts\)"),
    ],
)
def test_what_is_no_answer_is_a_failure_with_its_reason(server: FakeServer, mode: str, message: str) -> None:
    server.mode = mode
    served = model(server, name="tiny", timeout_s=0.3)
    with pytest.raises(ServedFailure, match=message):
        say(served)
    assert served.failures == 1


def test_a_thought_that_a_server_cut_off_is_text_without_an_answer(server: FakeServer) -> None:
    server.mode = "thinking"
    ((text, _),) = say(model(server))
    assert text == "<think>or \\boxed{3}" and strip_thinking(text) == ""


def test_an_answer_that_was_cut_off_before_its_first_word_is_an_empty_one(server: FakeServer) -> None:
    server.mode = "cut off"
    assert say(model(server)) == [("", "length")]


def test_a_server_that_is_not_there_or_serves_others(server: FakeServer) -> None:
    with pytest.raises(ModelError, match="no OpenAI-compatible server answers there"):
        ServedModel("http://127.0.0.1:9/v1", timeout_s=1).check()
    for address in ("http://:::/v1", "http://é…/v1"):
        with pytest.raises(ModelError, match=r"no OpenAI-compatible server answers there \(Invalid"):
            ServedModel(address, timeout_s=1).check()
    with pytest.raises(ModelError, match="does not serve 'other', but tiny"):
        model(server, name="other").check()
    server.models = ("a", "b")
    with pytest.raises(ModelError, match="serves a, b; choose one with served_name"):
        model(server).check()


@pytest.mark.parametrize("mode", ["echo", "long", "busy", "thinking", "broken", "empty", "null", "refused"])
def test_one_call_of_an_event_loop_is_like_one_of_many(server: FakeServer, mode: str) -> None:
    served = model(server, name="tiny", timeout_s=0.3)

    async def one() -> Any:
        try:
            return await served.say(CHAT, Sampling(7, 0.5), 0)
        finally:
            await served.aclose()

    async def many() -> Any:
        return (await served.say_many([CHAT], Sampling(7, 0.5), [0]))[0]

    outcomes = []
    for ask in (one, many):
        server.mode = mode
        server.asked.clear()
        try:
            outcomes.append(asyncio.run(ask()))
        except ServedFailure as failure:
            outcomes.append(str(failure))
    assert outcomes[0] == outcomes[1] and served.failures in (0, 2)


def test_a_call_of_an_event_loop_that_takes_too_long_is_not_made_again(server: FakeServer) -> None:
    """A server that computes for longer than anybody waits would do so again, for a client that waits three times."""
    served = model(server, name="tiny", timeout_s=0.3)
    server.mode = "stall"

    async def one() -> None:
        try:
            await served.say(CHAT, Sampling(7, 0.5), 0)
        finally:
            await served.aclose()

    with pytest.raises(ServedFailure, match=r"no answer within 0.3 s \(1 attempt\)"):
        asyncio.run(one())
    assert len(server.asked) == 1 and served.errors == {"timeout": 1}


def test_a_stream_that_breaks_off_before_its_first_piece_is_asked_for_again(server: FakeServer) -> None:
    served = model(server, name="tiny")
    server.mode = "blank"  # no piece of text, and no end

    async def one() -> None:
        try:
            async for _ in served.stream(CHAT, Sampling(7, 0.5), 0):
                pass
        finally:
            await served.aclose()

    with pytest.raises(ServedFailure, match=r"ends in the middle \(3 attempts\)"):
        asyncio.run(one())
    assert len(server.asked) == 3 and served.errors == {"stream": 3}
