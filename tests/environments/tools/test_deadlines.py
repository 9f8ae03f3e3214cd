"""Deadlines of tools: they begin with the call, and what hangs takes no place from others."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from reasonrl.engines.base import Sampling
from reasonrl.environments.tools.base import ToolCall
from reasonrl.environments.tools.loading import load_tools
from reasonrl.environments.tools.tool_use import ToolUse
from reasonrl.errors import RecipeError
from tests.environments.tools.made_tools import CLOSED
from tests.environments.tools.scripted_policy import TOKENIZER, ScriptedPolicy, play, problem

MADE = "tests.environments.tools.made_tools"


def play_all(words: list[str], *tools: Any, seconds: float = 30) -> tuple[list[Any], float]:
    """One episode for each word, all at once: a call with this word, and an answer."""
    environment = ToolUse(TOKENIZER, Sampling(64, max_response_tokens=400), tools=tools, format="line")

    async def run() -> list[Any]:
        policies = [ScriptedPolicy([f"Call: {word}\n", "5\n"]) for word in words]
        episodes = (environment.episode(problem(), i, i, policy) for i, policy in enumerate(policies))  # type: ignore[arg-type]
        return await asyncio.wait_for(asyncio.gather(*episodes), seconds)

    started = time.monotonic()
    episodes = asyncio.run(run())
    return episodes, time.monotonic() - started


def statuses(episodes: list[Any]) -> list[str]:
    return [call.status for episode in episodes for call in episode.tool_use.calls]


def test_a_call_that_waits_for_its_place_is_not_late() -> None:
    """Forty calls of 0.05 s, four at a time, take longer than the deadline of each."""
    episodes, seconds = play_all(["1"] * 40, {"name": f"{MADE}:sleeps", "deadline_s": 0.4, "at_once": 4})
    assert statuses(episodes) == ["ok"] * 40 and seconds > 0.45
    assert all(call.seconds < 0.4 for episode in episodes for call in episode.tool_use.calls), "waiting is not counted"


def test_calls_that_hang_take_no_place_from_the_others() -> None:
    """Many more than there are threads in a pool of a small machine."""
    words = ["hang", "1"] * 40
    episodes, seconds = play_all(words, {"name": f"{MADE}:sleeps", "deadline_s": 0.3, "at_once": 20})
    assert statuses(episodes) == ["broken", "ok"] * 40 and seconds < 10


def test_python_runs_beside_a_function_that_hangs() -> None:
    environment = ToolUse(
        TOKENIZER,
        Sampling(64, max_response_tokens=400),
        tools=[{"name": f"{MADE}:sleeps", "deadline_s": 0.3}, "python"],
        format="line",
    )

    async def run() -> list[Any]:
        async def one(number: int) -> Any:
            name = "sleeps" if number % 2 else "python"
            arguments = {"word": "hang"} if number % 2 else {"code": "print(7)"}
            sessions: dict[str, Any] = {}
            policy: Any = ScriptedPolicy([])
            return await environment._call(ToolCall(name, arguments), sessions, number, policy)

        return await asyncio.gather(*map(one, range(32)))

    results = asyncio.run(run())
    assert [str(result.status) for result, _ in results] == ["ok", "broken"] * 16


@pytest.mark.parametrize("tool", ["Stubborn", "Hangs"])
def test_nobody_waits_for_what_does_not_let_itself_be_cancelled(tool: str) -> None:
    episodes, _ = play_all(["x"], f"{MADE}:{tool}", seconds=2)
    assert statuses(episodes) == ["broken"]
    assert "no answer within 0.3 s" in episodes[0].failure


def test_a_function_that_wants_to_end_the_process_is_broken() -> None:
    (episode,), _ = play_all(["x"], f"{MADE}:ends_the_process")
    assert statuses([episode]) == ["broken"] and "SystemExit: 2" in episode.failure


def test_half_of_a_letter_is_shown_as_a_question_mark() -> None:
    episode, _ = play(["Call: x\n", "5\n"], tools=[f"{MADE}:half_a_letter"])
    assert statuses([episode]) == ["ok"] and "a?b" in TOKENIZER.decode(episode.trained_trajectory.response_ids)


def test_a_function_that_remembers_is_a_function() -> None:
    (tool,) = load_tools([f"{MADE}:remembers"]).values()
    assert tool.name == "remembers" and tool.parameters["required"] == ["word"]
    episode, _ = play(["Call: x\n", "5\n"], tools=[f"{MADE}:remembers"])
    assert statuses([episode]) == ["ok"]


@pytest.mark.parametrize("at_once", [0, -1, True, 1.5, "many"])
def test_a_wrong_number_of_calls_at_once(at_once: Any) -> None:
    with pytest.raises(RecipeError, match=r"tools\[0\]: at_once of sleeps is .*; write a whole number from 1"):
        load_tools([{"name": f"{MADE}:sleeps", "at_once": at_once}])


def test_sessions_close_beside_the_other_episodes() -> None:
    CLOSED.clear()
    episodes, seconds = play_all(["x"] * 20, f"{MADE}:SlowToClose")
    assert statuses(episodes) == ["ok"] * 20 and CLOSED.count("slow") == 20 and seconds < 2
