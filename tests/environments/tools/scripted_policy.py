"""A fake engine that says scripted turns, by the ids that it is asked for and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from reasonrl.engines.base import Generation, Sampling
from reasonrl.environments.base import Episode
from reasonrl.environments.tools.tool_use import ToolUse
from reasonrl.models.tiny import TOOLS, build_tokenizer
from verifiers.types import Problem

TOKENIZER = build_tokenizer(TOOLS)


def encode(text: str, tokenizer: Any = TOKENIZER) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


class ScriptedPolicy:
    """Says one turn a request: ids, or a text that is encoded; a turn in `cut` ends by length."""

    def __init__(
        self, turns: Sequence[str | list[int]], *, cut: Sequence[int] = (), tokenizer: Any = TOKENIZER
    ) -> None:
        self._turns = [encode(turn, tokenizer) if isinstance(turn, str) else turn for turn in turns]
        self._cut = cut
        self.requests: list[list[int]] = []
        self.seeds: list[int] = []
        self.elsewhere_calls = 0

    async def generate(self, token_ids: Sequence[int], sampling: Sampling, seed: int) -> Generation:
        number = len(self.requests)
        self.requests.append(list(token_ids))
        self.seeds.append(seed)
        ids = self._turns[number]
        return Generation(list(ids), [-0.25] * len(ids), "length" if number in self._cut else "stop")

    async def elsewhere(self, call: Awaitable[Any]) -> Any:
        self.elsewhere_calls += 1
        return await call


def problem(prompt: Any = "48213*5072=\n", answer: str = "244536336") -> Problem:
    return Problem("p", prompt, "math", {"answer": answer})


def play(
    turns: Sequence[str | list[int]],
    *,
    cut: Sequence[int] = (),
    sampling: Sampling | None = None,
    tokenizer: Any = TOKENIZER,
    prompt: Any = "48213*5072=\n",
    seed: int = 7,
    **options: Any,
) -> tuple[Episode, ScriptedPolicy]:
    """One episode of the environment with these turns."""
    options = {"tools": ["calculator"], "format": "line"} | options
    environment = ToolUse(tokenizer, sampling or Sampling(64, max_response_tokens=400), **options)
    policy = ScriptedPolicy(turns, cut=cut, tokenizer=tokenizer)
    episode = asyncio.run(environment.episode(problem(prompt), 0, seed, policy))  # type: ignore[arg-type]
    return episode, policy
