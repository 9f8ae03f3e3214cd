"""Verdicts are made while other episodes still play, by verifiers that say that they may be called in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from reasonrl.engines.base import Generation, Request, RoleEngines, Sampling
from reasonrl.environments.base import Episode, Trajectory
from reasonrl.environments.rollouts import roll_out
from reasonrl.errors import TrainingError
from reasonrl.rewards import verdict_thread
from reasonrl.rewards.base import RewardPart
from reasonrl.rewards.scoring import score_episodes
from reasonrl.rewards.verdict_thread import VerdictThread
from verifiers.types import Problem, Status, Verdict


class Recording:
    """Judges a text by its number, and remembers who called it and with what."""

    thread_safe = True

    def __init__(self, error: Exception | None = None, drop: int = 0) -> None:
        self.calls: list[tuple[str, list[str]]] = []
        self.judged = threading.Event()
        self._error, self._drop = error, drop

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        self.calls.append((threading.current_thread().name, list(responses)))
        self.judged.set()
        if self._error is not None:
            raise self._error
        verdicts = [
            Verdict(int(text) % 2 == 0, float(int(text) % 2 == 0), Status.JUDGED, text, "parity", "", 0.0)
            for text in responses
        ]
        return verdicts[self._drop :]

    def gold_response(self, reference: dict[str, Any]) -> str:
        return "2"


class InMainThread(Recording):
    thread_safe = False


class Counting:
    """An environment in which problem n takes n turns."""

    async def episode(self, problem: Problem, rollout: int, seed: int, engine: RoleEngines) -> Episode:
        for _ in range(int(problem.id)):
            await engine.generate([1], Sampling(1), 0)
        return Episode(problem, rollout, seed, [Trajectory("policy", [1], [1], [True], [0.0], problem.id, "stop")])


class WaitingEngine:
    """From the second batch on, waits until the verifier has judged something; `waited` holds whether it had."""

    def __init__(self, verifier: Recording) -> None:
        self._verifier = verifier
        self.batches = 0
        self.waited: list[bool] = []

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        self.batches += 1
        if self.batches > 1:
            self.waited.append(self._verifier.judged.wait(timeout=5))
        return [Generation([1], [0.0], "stop") for _ in requests]


def problems(count: int) -> list[Problem]:
    return [Problem(str(number), "?", "math", {"answer": "2"}) for number in range(1, count + 1)]


def play(verifier: Recording, engine: WaitingEngine) -> list[Episode]:
    parts = [RewardPart("correctness", 1.0, verifier)]
    with VerdictThread(parts) as verdicts:
        episodes = roll_out(Counting(), engine, problems(4), [1] * 4, seed=(0,), on_end=verdicts.add)
    score_episodes(episodes, parts)
    return episodes


def test_an_episode_is_judged_while_others_still_play() -> None:
    verifier = Recording()
    engine = WaitingEngine(verifier)
    episodes = play(verifier, engine)
    assert engine.waited == [True, True, True], "a verdict was there while the second batch ran"
    assert {name for name, _ in verifier.calls} == {"verdicts"}
    assert sorted(text for _, texts in verifier.calls for text in texts) == ["1", "2", "3", "4"], "each once"
    assert [episode.reward_parts["correctness"] for episode in episodes] == [0.0, 1.0, 0.0, 1.0]


def test_a_verifier_that_does_not_say_so_is_called_once_and_in_the_main_thread() -> None:
    verifier = InMainThread()
    verifier.judged.set()
    episodes = play(verifier, WaitingEngine(verifier))
    assert verifier.calls == [(threading.main_thread().name, ["1", "2", "3", "4"])]
    assert [episode.reward_parts["correctness"] for episode in episodes] == [0.0, 1.0, 0.0, 1.0]


def test_what_a_verifier_raises_ends_the_step() -> None:
    verifier = Recording(error=ZeroDivisionError("in the verifier"))
    with pytest.raises(ZeroDivisionError, match="in the verifier"):
        play(verifier, WaitingEngine(verifier))


def test_a_wrong_number_of_verdicts_ends_the_step() -> None:
    verifier = Recording(drop=1)
    with pytest.raises(TrainingError, match=r"reward\.correctness: the verifier returned \d verdicts for \d"):
        play(verifier, WaitingEngine(verifier))


def test_an_error_of_an_episode_is_not_hidden_by_the_verdicts() -> None:
    class Broken(Counting):
        async def episode(self, problem: Problem, rollout: int, seed: int, engine: RoleEngines) -> Episode:
            raise LookupError("in the environment")

    verifier = Recording()
    parts = [RewardPart("correctness", 1.0, verifier)]
    with pytest.raises(LookupError, match="in the environment"), VerdictThread(parts) as verdicts:
        roll_out(Broken(), WaitingEngine(verifier), problems(2), [1, 1], seed=(0,), on_end=verdicts.add)


def test_a_verifier_that_takes_long_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verdict_thread, "NOTICE_S", 0.05)

    class Slow(Recording):
        def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
            time.sleep(0.3)
            return super().verify(responses, references)

    episode = Episode(problems(1)[0], 0, 0, [Trajectory("policy", [1], [2], [True], [0.0], "2", "stop")])
    with VerdictThread([RewardPart("mine", 1.0, Slow())]) as verdicts:
        verdicts.add(episode)
    assert "reward.mine: no verdict for 0.05 s; its verifier is slow or hangs" in capsys.readouterr().err
    assert episode.verdicts["mine"].correct is True
