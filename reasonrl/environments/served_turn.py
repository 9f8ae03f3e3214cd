"""One prompt, one response, from a model on a server: for evaluation, since there are no tokens to train on."""

from __future__ import annotations

from dataclasses import dataclass

from reasonrl.engines.base import RoleEngines, Sampling
from reasonrl.engines.served import ServedFailure, ServedModel
from reasonrl.environments.base import Episode, Trajectory
from verifiers.types import Message, Problem

TOKENS = "served_tokens"
"""The column of a sample with the server's count of tokens."""


@dataclass(frozen=True)
class ServedTurn:
    """An environment. A text prompt is asked as the message of a user. A request that is not answered is a failure of
    its episode.
    """

    model: ServedModel
    sampling: Sampling

    async def episode(self, problem: Problem, rollout: int, seed: int, engine: RoleEngines) -> Episode:
        prompt = problem.prompt
        chat: list[Message] = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        try:
            (answer,) = await engine.elsewhere(self.model.say_many([chat], self.sampling, [seed]))
        except ServedFailure as error:
            nothing = Trajectory("policy", [], [], [], [], "", "stop")
            return Episode(problem, rollout, seed, [nothing], failure=str(error))
        reason = "length" if answer.finish_reason == "length" else "stop"
        trajectory = Trajectory("policy", [], [], [], [], answer.text, reason)
        fields = {} if answer.tokens is None else {TOKENS: answer.tokens}
        return Episode(problem, rollout, seed, [trajectory], sample_fields=fields)
