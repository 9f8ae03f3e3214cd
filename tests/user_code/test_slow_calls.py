"""The user's code that takes long is named while it runs, with the line at which it stands."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from reasonrl.engines.base import Generation, Request, RoleEngines, Sampling
from reasonrl.environments.base import Episode, Trajectory
from reasonrl.environments.guarded import GuardedEnvironment
from reasonrl.environments.rollouts import roll_out
from reasonrl.user_code import slow_calls
from reasonrl.user_code.guards import call_user_code
from verifiers.types import Problem

Read = Callable[[], str]


@pytest.fixture
def notices(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Read]:
    """Calls are named after 0.2 s, by a thread of this test's own."""
    monkeypatch.setattr(slow_calls, "NOTICE_S", 0.2)
    monkeypatch.setattr(slow_calls, "_watch", slow_calls._Watch())
    yield lambda: capsys.readouterr().err


def line_of(function: Callable[..., Any], offset: int) -> str:
    return f"test_slow_calls.py, line {function.__code__.co_firstlineno + offset}. "


def blocks(seconds: float) -> str:
    time.sleep(seconds)
    return "done"


def works(seconds: float) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sorted(range(100))
    return "done"


async def waits(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


async def outer(seconds: float) -> str:
    return await waits(seconds)


async def blocks_the_loop(seconds: float) -> str:
    return blocks(seconds)


@pytest.mark.parametrize(
    ("function", "inner", "offset"),
    [(blocks, blocks, 1), (waits, waits, 1), (outer, waits, 1), (blocks_the_loop, blocks, 1)],
)
def test_a_call_that_hangs_is_named_with_its_line(
    notices: Read, function: Callable[..., Any], inner: Callable[..., Any], offset: int
) -> None:
    assert call_user_code("reward.mine.function", function, 0.5) == "done"
    text = notices()
    assert text.startswith("reward.mine.function: has not returned for 0 s. It is at ")
    assert line_of(inner, offset) in text
    assert "Ctrl-C ends the command" in text


def test_a_loop_is_named_as_well_and_a_call_in_another_thread() -> None:
    call = slow_calls.Call("verifier", 0, 0.0)
    thread = threading.Thread(target=works, args=(0.3,))
    thread.start()
    call.thread = thread.ident or 0
    (message,) = slow_calls.notices([call], {}, 30.0)
    assert message.startswith("verifier: has not returned for 30 s. It is at tests/user_code/test_slow_calls.py, line ")
    assert slow_calls.notices([call], {}, 45.0) == [], "the next one comes after twice as long"
    assert len(slow_calls.notices([call], {}, 60.0)) == 1
    thread.join()


def test_a_call_within_a_running_loop_is_named_with_its_line(notices: Read) -> None:
    async def notebook() -> Any:
        return call_user_code("key", waits, 0.5)

    assert asyncio.run(notebook()) == "done"
    assert line_of(waits, 1) in notices()


def test_quick_calls_are_not_named_however_many(notices: Read) -> None:
    for _ in range(8):
        call_user_code("key", blocks, 0.02)
    assert notices() == ""


def test_what_was_slow_once_and_returned_is_not_named_each_time(notices: Read) -> None:
    call_user_code("key", blocks, 0.3)
    assert notices()
    call_user_code("key", blocks, 0.35)
    assert notices() == ""


class SlowEngine:
    """Takes longer for each batch than a call may."""

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        time.sleep(0.15)
        return [Generation([1], [0.0], "stop") for _ in requests]


class World:
    """An environment of two turns that does `how` between them."""

    def __init__(self, how: str, only: str = "0") -> None:
        self._how, self._only = how, only

    async def episode(self, problem: Problem, rollout: int, seed: int, engine: RoleEngines) -> Episode:
        await asyncio.gather(*(engine.generate([1], Sampling(1), 0) for _ in range(2)))
        if problem.id == self._only:
            if self._how == "blocks":
                blocks(0.5)
            elif self._how == "waits":
                await waits(0.5)
            elif self._how == "elsewhere":
                await engine.elsewhere(waits(1.5))  # the engine serves the others meanwhile
        await engine.generate([1], Sampling(1), 0)
        await engine.generate([1], Sampling(1), 0)
        return Episode(problem, rollout, seed, [Trajectory("policy", [1], [1], [True], [0.0], "x", "stop")])


@pytest.mark.parametrize(("how", "inner"), [("blocks", blocks), ("waits", waits), ("elsewhere", waits)])
def test_an_environment_that_hangs_is_named_with_its_line(notices: Read, how: str, inner: Callable[..., Any]) -> None:
    problems = [Problem(str(number), "?", "math", {}) for number in range(3)]
    episodes = roll_out(GuardedEnvironment(World(how), "mine:World"), SlowEngine(), problems, [1] * 3, seed=(0,))
    assert len(episodes) == 3
    text = notices()
    assert "rollout.environment: mine:World: has not returned for 0 s. It is at " in text
    assert line_of(inner, 1) in text


def test_an_environment_whose_engine_is_slow_is_not_named(notices: Read) -> None:
    problems = [Problem(str(number), "?", "math", {}) for number in range(3)]
    roll_out(GuardedEnvironment(World("nothing"), "mine:World"), SlowEngine(), problems, [1] * 3, seed=(0,))
    assert notices() == ""
