"""An environment of several turns for tests: the partner is a script, and may take its time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from reasonrl.engines.base import RoleEngines, Sampling, derive_seed
from reasonrl.environments.base import Episode
from reasonrl.environments.conversation import Conversation
from verifiers.types import Problem, Status, Verdict

REPLIES = ("Again.", "Check. 12 + 3 = 15", "No.\nWrong")


class ScriptedPartner:
    """The policy speaks `turns` times, and is answered from REPLIES in between.

    Args:
        slow: a reply takes up to this many seconds, another time for each episode and turn.
    """

    def __init__(self, tokenizer: Any, sampling: Sampling, *, turns: int = 3, slow: float = 0.0) -> None:
        self._tokenizer, self._sampling, self._turns, self._slow = tokenizer, sampling, turns, slow

    async def episode(self, problem: Problem, rollout: int, seed: int, engine: RoleEngines) -> Episode:
        conversation = Conversation(self._tokenizer, problem, self._sampling)
        for turn in range(self._turns):
            # Servers take seeds of 63 bits: with such seeds both backends draw the same noise.
            await conversation.policy_turn(engine, derive_seed(seed, turn) % 2**63)
            last = turn + 1 == self._turns
            if last or not conversation.add(await engine.elsewhere(self._reply(seed, turn))):
                break
        return Episode(problem, rollout, seed, [conversation.trajectory()])

    async def _reply(self, seed: int, turn: int) -> str:
        await asyncio.sleep(self._slow * (derive_seed(seed, "delay", turn) % 100) / 100)
        return REPLIES[(derive_seed(seed, "reply") + turn) % len(REPLIES)]


class Referee(ScriptedPartner):
    """Judges the episode itself."""

    async def episode(self, problem: Problem, rollout: int, seed: int, engine: RoleEngines) -> Episode:
        played = await super().episode(problem, rollout, seed, engine)
        played.verdicts["correctness"] = Verdict(True, 0.75, Status.JUDGED, None, "referee", "won", 0.0)
        return played


class Unreachable(ScriptedPartner):
    """Every second episode ends because the partner is gone."""

    async def episode(self, problem: Problem, rollout: int, seed: int, engine: RoleEngines) -> Episode:
        played = await super().episode(problem, rollout, seed, engine)
        played.failure = "the partner is gone" if rollout % 2 else None
        return played


def by_letters(responses: Sequence[str], problems: Sequence[Problem]) -> list[float]:
    """A reward that differs between responses of an untrained model."""
    return [sum(map(ord, response)) % 5 / 4 for response in responses]


def by_turns(responses: Sequence[str], problems: Sequence[Problem], episodes: Sequence[Episode]) -> list[float]:
    """A reward that looks at more than the response: one for each turn of the policy."""
    assert [episode.text for episode in episodes] == list(responses)
    return [float(episode.trained_trajectory.policy_turns) for episode in episodes]


THREE_TURNS: dict[str, Any] = {
    "name": "three-turns",
    "seed": 3,
    "threads": 1,
    "device": "cpu",
    "model": {"path": "tiny-critic", "attention": "eager"},
    "verifier": {"name": "math", "mode": "whole"},
    "data": {
        "train": {
            "source": "arithmetic",
            "options": {"operations": "+", "terms": [2, 2], "low": 0, "high": 9, "size": 40, "split": "train"},
        },
        "prompt": {"style": "chat", "template": "{question} ="},
    },
    "reward": {
        "correctness": 1.0,
        "letters": {"weight": 1.0, "function": "tests.environments.scripted_partner:by_letters"},
    },
    "rollout": {
        "environment": {"name": "tests.environments.scripted_partner:ScriptedPartner", "turns": 3},
        "rollouts_per_prompt": 4,
        "max_new_tokens": 6,
        "max_response_tokens": 60,
    },
    "train": {"steps": 2, "prompts_per_step": 4},
    "optim": {"lr": 1.0e-4},
    "evaluation": {"greedy": False, "samples_per_problem": 0},
}
"""Three turns of an untrained model whose tokens decoding and encoding would change, answered by the script."""
