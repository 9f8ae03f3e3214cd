"""Who speaks in an episode beside the role that is trained: the same weights, another model here, or a model behind a
server.

All are one `Speaker`, so an environment does not know which it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from reasonrl.engines.base import RoleEngines, Sampling, response_text
from reasonrl.engines.served import ServedFailure, ServedModel, ServedRefusal
from reasonrl.environments.base import Trajectory
from reasonrl.environments.single_turn import encode_messages
from reasonrl.models.special_tokens import without_opened_thought
from verifiers.types import Message

__all__ = ["LocalSpeaker", "PromptTooLong", "ServedFailure", "ServedSpeaker", "Speaker"]


class PromptTooLong(ServedRefusal):
    """A chat leaves no room for an answer in a model of this process: what a server answers with 400."""


class Speaker(Protocol):
    async def say(self, chats: Sequence[list[Message]], seeds: Sequence[int], engines: RoleEngines) -> list[Trajectory]:
        """One answer to each chat, no loss on any. A last message of the assistant is a beginning that the model
        continues: the answer is the continuation alone.

        Raises ServedFailure when there is none.
        """
        ...


@dataclass(frozen=True)
class LocalSpeaker:
    """A model in this process. `engine` is its name among the engines; "" is the one that is trained."""

    role: str
    tokenizer: Any
    sampling: Sampling
    engine: str = ""
    positions: int | None = None
    """Of the model, for prompt and answer together; None where it has no limit. Answers are cut off there."""

    async def say(self, chats: Sequence[list[Message]], seeds: Sequence[int], engines: RoleEngines) -> list[Trajectory]:
        prompts = [self._encode(chat) for chat in chats]
        sampling = self.sampling
        if self.positions is not None and prompts:
            longest = max(map(len, prompts))
            if longest >= self.positions:
                raise PromptTooLong(
                    f"the {self.role}'s prompt has {longest} tokens; its model takes at most {self.positions - 1}"
                )
            sampling = replace(sampling, max_new_tokens=min(sampling.max_new_tokens, self.positions - longest))
        engine = engines.role(self.engine) if self.engine else engines
        generations = await engine.generate_many(prompts, sampling, seeds)
        return [
            Trajectory(
                role=self.role,
                prompt_ids=ids,
                response_ids=generation.token_ids,
                loss_mask=[False] * len(generation.token_ids),
                logprobs=generation.logprobs,
                text=response_text(self.tokenizer, generation, self.sampling, ids),
                finish_reason=generation.finish_reason,
            )
            for ids, generation in zip(prompts, generations, strict=True)
        ]

    def _encode(self, chat: list[Message]) -> list[int]:
        beginning = chat[-1]["content"] if chat[-1]["role"] == "assistant" else ""
        ids = encode_messages(self.tokenizer, chat[:-1] if beginning else chat, f"the {self.role}'s prompt")
        beginning = without_opened_thought(self.tokenizer, ids, beginning)
        return ids + list(self.tokenizer(beginning, add_special_tokens=False)["input_ids"]) if beginning else ids


@dataclass(frozen=True)
class ServedSpeaker:
    """A model behind a server: its trajectories have a text but no tokens."""

    role: str
    model: ServedModel
    sampling: Sampling

    async def say(self, chats: Sequence[list[Message]], seeds: Sequence[int], engines: RoleEngines) -> list[Trajectory]:
        answers = await engines.elsewhere(self.model.say_many(chats, self.sampling, seeds))
        return [
            Trajectory(self.role, [], [], [], [], answer.text, "length" if answer.finish_reason == "length" else "stop")
            for answer in answers
        ]
