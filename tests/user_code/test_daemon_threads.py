"""A blocking call that hangs in a thread keeps neither its loop nor the process from ending."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import pytest

from reasonrl.engines.base import Generation, Request, RoleEngines
from reasonrl.environments.base import Episode
from reasonrl.environments.rollouts import roll_out
from reasonrl.user_code.daemon_threads import DaemonThreads
from reasonrl.user_code.guards import call_user_code
from verifiers.types import Problem


def run(main: object) -> object:
    async def with_executor() -> object:
        asyncio.get_running_loop().set_default_executor(DaemonThreads())
        return await main  # type: ignore[misc]

    return asyncio.run(with_executor())


def test_results_and_errors_come_back() -> None:
    async def many() -> list[int]:
        return await asyncio.gather(*(asyncio.to_thread(pow, number, 2) for number in range(100)))

    assert run(many()) == [number**2 for number in range(100)]
    with pytest.raises(ZeroDivisionError):
        run(asyncio.to_thread(lambda: 1 / 0))


def test_the_threads_are_few_and_used_again_and_end() -> None:
    executor = DaemonThreads()
    names = [executor.submit(threading.get_ident) for _ in range(200)]
    assert len({future.result() for future in names}) <= executor._most
    for _ in range(20):
        executor.submit(int).result()
    assert executor._started <= executor._most
    mine = [thread for thread in threading.enumerate() if thread.name == "user call"]
    executor.shutdown()
    for thread in mine:
        thread.join(timeout=5)
    assert not any(thread.is_alive() for thread in mine)


def test_a_loop_ends_although_a_call_hangs() -> None:
    free = threading.Event()

    async def impatient() -> str:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(free.wait, 60), 0.1)
        return "over"

    started = time.monotonic()
    assert run(impatient()) == "over"
    assert time.monotonic() - started < 30
    free.set()


def test_a_process_ends_although_a_call_hangs() -> None:
    code = "import time; from reasonrl.user_code.daemon_threads import DaemonThreads as D; D().submit(time.sleep, 600)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


class Hangs:
    """An environment whose first episode waits in a thread, while the second one raises."""

    def __init__(self, free: threading.Event) -> None:
        self._free = free

    async def episode(self, problem: Problem, rollout: int, seed: int, engine: RoleEngines) -> Episode:
        if problem.id == "1":
            await asyncio.sleep(0.1)
            raise LookupError("in the other episode")
        await asyncio.to_thread(self._free.wait, 60)
        raise AssertionError("it was not ended")


class NoEngine:
    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        return []


def test_a_batch_of_episodes_ends_although_one_hangs_in_a_thread() -> None:
    free, started = threading.Event(), time.monotonic()
    problems = [Problem(str(number), "?", "math", {}) for number in range(2)]
    with pytest.raises(LookupError, match="in the other episode"):
        roll_out(Hangs(free), NoEngine(), problems, [1, 1], seed=(0,))
    assert time.monotonic() - started < 30
    free.set()


def test_an_async_reward_that_gives_up_a_thread_ends() -> None:
    free, started = threading.Event(), time.monotonic()

    async def reward() -> float:
        try:
            return float(await asyncio.wait_for(asyncio.to_thread(free.wait, 60), 0.1))
        except TimeoutError:
            return 0.0

    assert call_user_code("reward.mine.function", reward) == 0.0
    assert time.monotonic() - started < 30
    free.set()
