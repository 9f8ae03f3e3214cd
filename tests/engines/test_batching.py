"""Episodes that are busy elsewhere: who waits for whom follows from what they do, never from how long it takes."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonrl.engines.base import Generation, Request, RoleEngines, Sampling
from reasonrl.engines.batching import run_episodes

SAMPLING = Sampling(4)
Script = str
"""What an episode does, a letter each: g generates, e is busy elsewhere, w awaits something without `elsewhere`."""


class RecordingEngine:
    """A fake that answers with the prompt, remembers its batches, and may take its time."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[list[tuple[int, ...]]] = []
        self.running = False
        self._seconds = seconds

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        self.running = True
        time.sleep(self._seconds)
        self.batches.append([tuple(request.token_ids) for request in requests])
        self.running = False
        return [Generation(list(request.token_ids), [0.0] * len(request.token_ids), "stop") for request in requests]


def scripted(number: int, script: Script, delays: Sequence[float]) -> Callable[[RoleEngines], Awaitable[list[int]]]:
    async def episode(engine: RoleEngines) -> list[int]:
        answers = []
        for place, action in enumerate(script):
            if action == "g":
                generation = await engine.generate([number, place], SAMPLING, 0)
                answers.append(generation.token_ids[1])
            elif action == "e":
                await engine.elsewhere(asyncio.sleep(delays[place % len(delays)]))
            else:
                await asyncio.sleep(delays[place % len(delays)])
        return answers

    return episode


def play(scripts: Sequence[Script], delays: Sequence[Sequence[float]]) -> list[list[tuple[int, ...]]]:
    engine = RecordingEngine()
    episodes = [scripted(i, script, delays[i % len(delays)]) for i, script in enumerate(scripts)]
    results = run_episodes(episodes, engine)
    assert results == [[place for place, action in enumerate(script) if action == "g"] for script in scripts]
    return engine.batches


def batches_by_the_rule(scripts: Sequence[Script]) -> list[list[tuple[int, ...]]]:
    """An independent reference: each episode's requests with the number of calls elsewhere before them; the engine
    serves the lowest such number that a live episode has, one request of each episode at a time.
    """
    left = [
        [(script[:place].count("e"), place) for place, action in enumerate(script) if action == "g"]
        for script in scripts
    ]
    batches = []
    while any(left):
        lowest = min(requests[0][0] for requests in left if requests)
        members = [i for i, requests in enumerate(left) if requests and requests[0][0] == lowest]
        batches.append([(i, left[i].pop(0)[1]) for i in members])
    return batches


SCRIPTS = st.lists(st.text("gew", min_size=0, max_size=5), min_size=1, max_size=5)
DELAYS = st.lists(st.lists(st.sampled_from([0.0, 0.0005, 0.002]), min_size=1, max_size=3), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(scripts=SCRIPTS, delays=DELAYS)
def test_batches_follow_the_rule_whatever_the_delays(scripts: list[Script], delays: list[list[float]]) -> None:
    assert play(scripts, delays) == batches_by_the_rule(scripts)


def test_episodes_that_never_leave_do_not_wait_for_a_slow_partner() -> None:
    engine = RecordingEngine()
    batches_while_away: list[int] = []

    async def with_partner(engine_of_episode: RoleEngines) -> None:
        await engine_of_episode.generate([9], SAMPLING, 0)
        await engine_of_episode.elsewhere(asyncio.sleep(0.2))
        batches_while_away.append(len(engine.batches))
        await engine_of_episode.generate([9], SAMPLING, 0)

    run_episodes([with_partner, scripted(1, "gggg", [0.0]), scripted(2, "ggg", [0.0])], engine)
    assert batches_while_away == [4], "all turns of the others ran while the partner was busy"
    assert [len(batch) for batch in engine.batches] == [3, 2, 2, 1, 1]


def test_a_slow_partner_delays_the_others_by_the_round_in_which_it_returns_alone() -> None:
    """Three episodes with partners, one of them slow once: the number of batches and who is in them stay the same."""
    scripts = ["gegeg"] * 3
    fast = play(scripts, [[0.0]])
    slow = play(scripts, [[0.0], [0.0, 0.1, 0.0, 0.0, 0.0], [0.0]])
    assert fast == slow == [[(0, p), (1, p), (2, p)] for p in (0, 2, 4)]


def test_partners_get_on_while_the_engine_generates() -> None:
    engine = RecordingEngine(seconds=0.2)
    seen: list[bool] = []

    async def partner() -> None:
        await asyncio.sleep(0.05)
        seen.append(engine.running)

    async def with_partner(engine_of_episode: RoleEngines) -> None:
        await engine_of_episode.elsewhere(partner())

    run_episodes([with_partner, scripted(1, "g", [0.0])], engine)
    assert seen == [True]


def test_requests_of_one_episode_that_are_asked_together_share_a_batch() -> None:
    engine = RecordingEngine()

    async def episode(engine_of_episode: RoleEngines) -> None:
        await asyncio.gather(*(engine_of_episode.generate([i], SAMPLING, 0) for i in range(3)))

    run_episodes([episode, scripted(7, "g", [0.0])], engine)
    assert engine.batches == [[(0,), (1,), (2,), (7, 0)]]


def test_a_failure_elsewhere_ends_all_episodes_and_is_raised() -> None:
    async def refuses() -> None:
        raise ConnectionError("the partner is gone")

    async def with_partner(engine: RoleEngines) -> None:
        await engine.elsewhere(refuses())

    engine = RecordingEngine()
    with pytest.raises(ConnectionError, match="the partner is gone"):
        run_episodes([with_partner, scripted(1, "weg", [5.0])], engine)
    assert engine.batches == []


@pytest.mark.parametrize("error", [RuntimeError("no memory"), KeyboardInterrupt()])
def test_an_error_of_the_engine_in_its_thread_is_raised_as_it_is(error: BaseException) -> None:
    class Broken:
        def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
            raise error

    with pytest.raises(type(error)):
        run_episodes([scripted(0, "e", [0.2]), scripted(1, "g", [0.0])], Broken())


class KeepingEngine(RecordingEngine):
    """A fake that remembers which episodes asked and which were ended, and whether one was ended while it ran."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(seconds)
        self.asked: list[object] = []
        self.ended: list[object] = []

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        self.asked += [request.episode for request in requests]
        return super().generate_batch(requests)

    def end_episode(self, episode: object) -> None:
        assert not self.running
        self.ended.append(episode)


def test_an_engine_hears_which_episodes_may_ask_again_and_when_they_end() -> None:
    engine = KeepingEngine(0.02)

    async def several(turns: int, away: float, engine: RoleEngines) -> None:
        for turn in range(turns):
            await engine.generate([turn], SAMPLING.for_turn(4), 0)
            await engine.elsewhere(asyncio.sleep(away))

    async def one(engine: RoleEngines) -> None:
        await engine.generate([7], SAMPLING, 0)

    plays = [functools.partial(several, turns, away) for turns, away in ((3, 0.0), (1, 0.05), (2, 0.01))]
    run_episodes([*plays, one], engine)
    names = {episode for episode in engine.asked if episode is not None}
    assert len(names) == 3
    assert engine.asked.count(None) == 1
    assert sorted(engine.ended, key=repr) == sorted([*names, next(n for n in engine.ended if n not in names)], key=repr)
    before = list(engine.ended)
    run_episodes(plays, engine)
    assert not names & set(engine.ended[len(before) :])  # another call, other episodes


def test_episodes_of_a_call_that_failed_are_ended_too() -> None:
    engine = KeepingEngine()

    async def fails(engine: RoleEngines) -> None:
        await engine.generate([1], SAMPLING.for_turn(4), 0)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        run_episodes([fails, fails], engine)
    assert set(engine.asked) <= set(engine.ended)


def test_episodes_run_where_a_loop_runs_already() -> None:
    """As in a notebook, whose cells are awaited."""

    async def cell() -> list[list[int]]:
        return run_episodes([scripted(number, "geg", [0.0]) for number in range(3)], RecordingEngine())

    assert asyncio.run(cell()) == [[0, 2]] * 3

    async def breaks(engine: RoleEngines) -> None:
        raise ValueError("broken")

    async def broken_cell() -> None:
        with pytest.raises(ValueError, match="broken"):
            run_episodes([breaks], RecordingEngine())

    asyncio.run(broken_cell())
