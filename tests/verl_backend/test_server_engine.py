"""verl's servers as an environment sees them, over a fake client: sessions, versions of the weights, ends of turns."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from reasonrl.engines.base import Sampling
from reasonrl.environments.conversation import Conversation
from reasonrl.models.tiny import CRITIC, build_tokenizer
from verifiers.types import Problem

pytestmark = [
    pytest.mark.verl,
    pytest.mark.skipif(importlib.util.find_spec("verl") is None, reason="needs verl: make test-verl"),
]
TOKENIZER = build_tokenizer(CRITIC)
END = TOKENIZER.eos_token_id


class FakeClient:
    """Answers request i with `answers[i]`, and says that the weights are those of step 5 + i."""

    def __init__(self, answers: list[list[int]]) -> None:
        self._answers = answers
        self.requests: list[dict[str, Any]] = []

    async def generate(self, **request: Any) -> Any:
        ids = self._answers[len(self.requests)]
        step = 5 + len(self.requests)
        self.requests.append(request)
        versions = {"global_steps": step, "min_global_steps": step, "max_global_steps": step}
        return SimpleNamespace(
            token_ids=ids, log_probs=[-0.5] * len(ids), stop_reason="completed", extra_fields=versions
        )


@pytest.fixture
def engine_over() -> Callable[..., tuple[Any, FakeClient]]:
    from reasonrl.verl_backend.agent_loop import ServerEngine

    def make(answers: list[list[int]], **options: Any) -> tuple[Any, FakeClient]:
        client = FakeClient(answers)
        return ServerEngine(client, [END], TOKENIZER, **options), client

    return make


def test_all_turns_of_an_episode_go_to_one_server_and_span_its_versions(engine_over: Any) -> None:
    engine, client = engine_over([[40, END], [41, END], [42, END]], session="episode-1")
    problem = Problem("p", [{"role": "user", "content": "1 + 1"}], "math", {"answer": "2"})
    conversation = Conversation(TOKENIZER, problem, Sampling(8, max_response_tokens=80))

    async def play() -> None:
        for number in range(3):
            if number:
                assert conversation.add("Again.")
            await conversation.policy_turn(engine, number)

    asyncio.run(play())
    assert [request["request_id"] for request in client.requests] == ["episode-1"] * 3
    assert client.requests[-1]["prompt_ids"] == conversation.token_ids[:-2]
    assert (engine.extra["min_global_steps"], engine.extra["max_global_steps"]) == (5, 7)


def test_requests_that_are_asked_together_are_spread_over_the_servers(engine_over: Any) -> None:
    engine, client = engine_over([[40, END]] * 4, session="episode-1")
    asyncio.run(engine.generate_many([[1], [2]], Sampling(8), [0, 1]))
    without_session, other = engine_over([[40, END]] * 2)
    asyncio.run(without_session.generate([1], Sampling(8), 0))
    asyncio.run(without_session.generate([1], Sampling(8), 0))
    ids = [request["request_id"] for request in (*client.requests, *other.requests)]
    assert len(set(ids)) == 4 and "episode-1" not in ids


@pytest.mark.parametrize(
    ("ids", "stop", "reason"),
    [
        ([40, END], (), "stop"),
        ([40, 41, 42], (), "length"),
        ([40, 41, END], (), "stop"),
        (TOKENIZER("a\nb"[:3], add_special_tokens=False)["input_ids"], ("\n",), "stop"),
    ],
)
def test_a_turn_that_fills_its_limit_without_an_end_is_cut_off(
    engine_over: Any, ids: list[int], stop: tuple[str, ...], reason: str
) -> None:
    engine, _ = engine_over([ids])
    generation = asyncio.run(engine.generate([1], Sampling(3, stop=stop), 0))
    assert generation.finish_reason == reason


def test_what_an_episode_does_elsewhere_is_only_awaited(engine_over: Any) -> None:
    engine, _ = engine_over([])

    async def partner() -> str:
        return "a reply"

    assert asyncio.run(engine.elsewhere(partner())) == "a reply"
