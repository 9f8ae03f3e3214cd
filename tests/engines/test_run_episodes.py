"""Single requests become batches when every live episode waits; a failure stops everything at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from reasonrl.engines.base import Engine, Generation, Request, Sampling, derive_seed
from reasonrl.engines.batching import run_episodes

SAMPLING = Sampling(4)


class Scripted:
    """Answers each request with its own prompt and remembers how requests came together."""

    def __init__(self, fail_at: int | None = None, error: BaseException | None = None) -> None:
        self.batches: list[list[tuple[int, ...]]] = []
        self._fail_at, self._error = fail_at, error

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        if len(self.batches) == self._fail_at and self._error is not None:
            raise self._error
        self.batches.append([tuple(request.token_ids) for request in requests])
        return [Generation(list(request.token_ids), [0.0] * len(request.token_ids), "stop") for request in requests]


def turns(name: int, count: int, pause: bool = False) -> Callable[[Engine], Awaitable[list[list[int]]]]:
    async def episode(engine: Engine) -> list[list[int]]:
        heard = []
        for turn in range(count):
            if pause:
                await asyncio.sleep(0.003 * ((name + turn) % 3))
            heard.append((await engine.generate([name, turn], SAMPLING, 0)).token_ids)
        return heard

    return episode


@pytest.mark.parametrize("pause", [False, True])
def test_requests_gather_until_all_wait_and_come_in_the_order_of_episodes(pause: bool) -> None:
    engine = Scripted()
    lengths = [2, 1, 3, 0]
    results = run_episodes([turns(name, count, pause) for name, count in enumerate(lengths)], engine)
    assert results == [[[name, turn] for turn in range(count)] for name, count in enumerate(lengths)]
    # Pauses are not waiting for the engine, and no timer decides: the batches are the same with and without them.
    assert engine.batches == [[(0, 0), (1, 0), (2, 0)], [(0, 1), (2, 1)], [(2, 2)]]


def test_an_episode_may_ask_for_several_things_at_once() -> None:
    engine = Scripted()

    async def episode(engine: Engine) -> list[int]:
        made = await asyncio.gather(*(engine.generate([i], SAMPLING, 0) for i in range(3)))
        return [m.token_ids[0] for m in made]

    assert run_episodes([episode], engine) == [[0, 1, 2]]


def test_no_episodes() -> None:
    assert run_episodes([], Scripted()) == []


def test_an_error_in_one_episode_stops_all_without_another_batch() -> None:
    engine = Scripted()
    ended: list[int] = []

    async def broken(engine: Engine) -> None:
        await engine.generate([9], SAMPLING, 0)
        raise ValueError("the seventh plate")

    async def sleeper(engine: Engine) -> None:
        try:
            await engine.generate([1], SAMPLING, 0)
            await asyncio.sleep(30)
        finally:
            ended.append(1)

    async def waiter(engine: Engine) -> None:
        try:
            for _ in range(5):
                await engine.generate([2], SAMPLING, 0)
        finally:
            ended.append(2)

    with pytest.raises(ValueError, match="the seventh plate"):
        run_episodes([waiter, broken, sleeper], engine)
    assert engine.batches == [[(2,), (9,), (1,)]]
    assert sorted(ended) == [1, 2]


@pytest.mark.parametrize("error", [RuntimeError("no memory"), KeyboardInterrupt()])
def test_an_error_of_the_engine_is_raised_as_it_is(error: BaseException) -> None:
    with pytest.raises(type(error)):
        run_episodes([turns(0, 2), turns(1, 2)], Scripted(fail_at=1, error=error))


def test_seeds_are_those_of_their_parts() -> None:
    assert derive_seed(0, "rollout", 3, "p/1", 0) == derive_seed(0, "rollout", 3, "p/1", 0)
    assert len({derive_seed(a, b) for a in range(20) for b in "xyz"}) == 60
    assert derive_seed("a", "bc") != derive_seed("ab", "c")
    assert 0 <= derive_seed(0) < 2**64
