"""What hangs on verl is given up: an environment, a judge, a rollout server during an evaluation."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from reasonrl.engines.base import Request, Sampling
from reasonrl.errors import ModelError
from reasonrl.models.tiny import CRITIC, build_tokenizer

pytestmark = [
    pytest.mark.verl,
    pytest.mark.skipif(importlib.util.find_spec("verl") is None, reason="needs verl: make test-verl"),
]


def test_an_environment_that_hangs_is_given_up_and_cancelled() -> None:
    from reasonrl.verl_backend.agent_loop import play_with_deadline

    cancelled = []

    async def hangs() -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def play() -> None:
        with pytest.raises(TimeoutError, match=r"not over after 0.05 s \(verl.episode_timeout_s\)"):
            await play_with_deadline(0.05, hangs())
        await asyncio.sleep(0)

    asyncio.run(play())
    assert cancelled == [True]


def test_an_episode_in_time_gives_its_result_and_its_errors() -> None:
    from reasonrl.verl_backend.agent_loop import play_with_deadline

    async def ends() -> Any:
        return "an episode"

    async def fails() -> Any:
        raise TimeoutError("a tool")

    assert asyncio.run(play_with_deadline(5.0, ends())) == "an episode"
    with pytest.raises(TimeoutError, match="a tool"):
        asyncio.run(play_with_deadline(5.0, fails()))


def test_the_thread_of_a_judge_that_is_given_up_ends() -> None:
    from reasonrl.verl_backend.agent_loop import run_with_deadline

    def judge() -> None:
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                pass

    with pytest.raises(TimeoutError, match=r"no verdict after 0.1 s \(verl.judge_timeout_s\)"):
        asyncio.run(run_with_deadline(0.1, judge, "verl.judge_timeout_s"))
    for _ in range(100):
        if not any(thread.name == "judge" for thread in threading.enumerate()):
            return
        time.sleep(0.05)
    raise AssertionError("the thread still runs")


class SlowClient:
    """Answers the first `answered` requests, and the others never."""

    def __init__(self, answered: int) -> None:
        self._left = answered

    async def generate(self, **request: Any) -> Any:
        self._left -= 1
        await asyncio.sleep(0.05 if self._left >= 0 else 60)
        return SimpleNamespace(token_ids=[5], log_probs=[-0.5], stop_reason="completed", extra_fields={})


def evaluate(answered: int, timeout_s: float, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    from reasonrl.verl_backend import client

    monkeypatch.setattr(client, "end_tokens", lambda tokenizer, path: [1])
    engine = client.ClientEngine(SlowClient(answered), build_tokenizer(CRITIC), "model", timeout_s=timeout_s)
    return engine.generate_batch([Request((1, 2), Sampling(4), seed) for seed in range(3)])


def test_an_evaluation_ends_when_the_servers_answer_nothing_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ModelError, match=r"2 of 3 requests are open, and the rollout servers have answered none for 0\.3"
    ):
        evaluate(1, 0.3, monkeypatch)
    assert [generation.token_ids for generation in evaluate(3, 5.0, monkeypatch)] == [[5]] * 3


def test_the_turns_of_an_episode_go_to_one_server(monkeypatch: pytest.MonkeyPatch) -> None:
    from reasonrl.verl_backend import client

    class NamingClient(SlowClient):
        def __init__(self) -> None:
            super().__init__(answered=99)
            self.names: list[str] = []

        async def generate(self, **request: Any) -> Any:
            self.names.append(request["request_id"])
            return await super().generate(**request)

    monkeypatch.setattr(client, "end_tokens", lambda tokenizer, path: [1])
    servers = NamingClient()
    engine = client.ClientEngine(servers, build_tokenizer(CRITIC), "model", timeout_s=5.0)
    for _ in range(2):
        engine.generate_batch([Request((1, 2), Sampling(4), 0, episode) for episode in ((0, 1), (0, 2), None)])
    first, second = sorted(servers.names[:3]), sorted(servers.names[3:])
    assert len(set(first)) == 3 and len(set(first) & set(second)) == 2
