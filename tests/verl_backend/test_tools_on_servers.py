"""Episodes with tools over verl's servers as they see them (a fake client): a tool that fails concerns its own row."""

from __future__ import annotations

import asyncio
import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest

from reasonrl.engines.base import Sampling
from reasonrl.environments.base import Episode
from reasonrl.environments.tools.tool_use import ToolUse
from tests.environments.tools.scripted_policy import TOKENIZER, encode, problem

pytestmark = [
    pytest.mark.verl,
    pytest.mark.skipif(importlib.util.find_spec("verl") is None, reason="needs verl: make test-verl"),
]
MADE = "tests.environments.tools.made_tools"


class FakeServers:
    """Calls the tool `made` or `echo` in the first turn of a session, and answers in the second."""

    def __init__(self, tool_of: dict[str, str]) -> None:
        self._tool_of = tool_of
        self.turns: dict[str, int] = {}

    async def generate(self, *, request_id: str, **request: Any) -> Any:
        turn = self.turns[request_id] = self.turns.get(request_id, 0) + 1
        await asyncio.sleep(0)
        ids = encode(f"Call: {self._tool_of[request_id]} 1\n" if turn == 1 else "7\n")
        return SimpleNamespace(
            token_ids=ids, log_probs=[-0.5] * len(ids), stop_reason="completed", extra_fields={"global_steps": 1}
        )


def play_rows(tool: str, called: list[bool]) -> list[Episode]:
    """Rows of one environment at one time; those that are `called` use the tool, the others an honest one."""
    from reasonrl.verl_backend.agent_loop import ServerEngine, play_with_deadline

    sampling = Sampling(40, stop=("\n",), max_response_tokens=200)
    environment = ToolUse(
        TOKENIZER, sampling, tools=[f"{MADE}:{tool}", f"{MADE}:lookup"], format="line", result_tokens=24
    )
    servers = FakeServers({str(row): "made" if is_called else "lookup" for row, is_called in enumerate(called)})

    async def all_rows() -> list[Episode]:
        episodes = []
        for row in range(len(called)):
            engine = ServerEngine(servers, [TOKENIZER.eos_token_id], TOKENIZER, session=str(row))
            episodes.append(play_with_deadline(20.0, environment.episode(problem(answer="7"), row, row, engine)))
        return list(await asyncio.gather(*episodes))

    return asyncio.run(all_rows())


@pytest.mark.parametrize("tool", ["Hangs", "Blocks", "Raises", "Garbage", "Floods", "Hostile"])
def test_a_tool_that_fails_changes_no_other_row(tool: str) -> None:
    called = [False, True, False, True, False]
    honest, rows = play_rows(tool, [False] * 5), play_rows(tool, called)
    for is_called, sound, row in zip(called, honest, rows, strict=True):
        if not is_called:
            assert row.trained_trajectory == sound.trained_trajectory and row.trained_trajectory.text == "7"
        elif tool in ("Floods", "Hostile"):
            assert row.tool_use and row.tool_use.ended == "answered" and not row.failure
            mask = row.trained_trajectory.loss_mask
            assert sum(mask) == len(encode("Call: made 1\n")) + len(encode("7\n")) and len(mask) - sum(mask) < 40
            assert row.trained_trajectory.text == "7"
        else:
            assert row.tool_use and row.tool_use.ended == "broken" and row.failure
            assert row.trained_trajectory.text == ""
