"""Controls of benchmarks/tool_study.py: calculators that do not compute what was asked, and an environment whose tool
output carries loss. They show what the policy would do if results were of no use, or were trained on.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from reasonrl.engines.base import RoleEngines
from reasonrl.environments.base import Episode
from reasonrl.environments.tools.base import CallStatus, ToolResult
from reasonrl.environments.tools.calculator import Calculator
from reasonrl.environments.tools.tool_use import ToolUse
from verifiers.types import Problem


class RandomResults(Calculator):
    """Answers with random digits, as many as the result has."""

    def __init__(self, rng: random.Random | None = None) -> None:
        super().__init__()
        self._rng = rng or random.Random(0)

    def session(self, seed: int) -> RandomResults:
        return RandomResults(random.Random(seed))

    async def call(self, arguments: dict[str, Any]) -> ToolResult:
        result = await super().call(arguments)
        if result.status is not CallStatus.OK:
            return result
        return ToolResult("".join(self._rng.choice("123456789") for _ in result.text))


class ShuffledResults(Calculator):
    """Answers with the result of an earlier call, drawn from the last 64 of all episodes."""

    def __init__(self, rng: random.Random | None = None, earlier: list[str] | None = None) -> None:
        super().__init__()
        self._rng = rng or random.Random(0)
        self._earlier = [] if earlier is None else earlier

    def session(self, seed: int) -> ShuffledResults:
        return ShuffledResults(random.Random(seed), self._earlier)

    async def call(self, arguments: dict[str, Any]) -> ToolResult:
        result = await super().call(arguments)
        if result.status is not CallStatus.OK:
            return result
        others = [text for text in self._earlier if text != result.text] or ["0"]
        self._earlier[:] = [*self._earlier, result.text][-64:]
        return ToolResult(self._rng.choice(others))


class UnmaskedToolUse(ToolUse):
    """As `tool_use`, but results carry loss as if the policy had written them: the fault that masks are there for."""

    async def episode(self, problem: Problem, rollout: int, seed: int, engine: RoleEngines) -> Episode:
        episode = await super().episode(problem, rollout, seed, engine)
        trajectories = [
            replace(trajectory, loss_mask=[True] * len(trajectory.response_ids)) for trajectory in episode.trajectories
        ]
        return replace(episode, trajectories=trajectories)
