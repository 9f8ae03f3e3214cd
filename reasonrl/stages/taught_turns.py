"""Demonstrations of several turns, such as calls of tools: what is learned of them is what the policy says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reasonrl.engines.base import Sampling
from reasonrl.environments.conversation import Conversation
from reasonrl.errors import DataError
from reasonrl.models.logprobs import TokenRow
from verifiers.types import Message, Problem

DEMONSTRATION = "{demonstration}"
"""Stands in `sft.response` for what the reference holds under this name."""


@dataclass(frozen=True)
class TaughtRow(TokenRow):
    """A row of which not every token is learned."""

    taught: list[bool]
    """Whether a token of the response carries loss: those of an environment or a tool do not."""


def turns_of(template: str, problem: Problem) -> list[Message] | None:
    """The turns of a demonstration that is a list of them, from an answer to an answer; None for a text.

    Raises DataError for a list that is no list of turns, and for one that `sft.response` writes something around.
    """
    turns = problem.reference.get("demonstration")
    if DEMONSTRATION not in template or not isinstance(turns, list):
        return None
    owner = f"data.train: problem {problem.id}: demonstration"
    for number, turn in enumerate(turns):
        if (
            not isinstance(turn, dict)
            or not isinstance(turn.get("role"), str)
            or not isinstance(turn.get("content"), str)
        ):
            raise DataError(f"{owner}, turn {number + 1}: expected {{role, content}}, two texts, got {turn!r:.80}")
    if not turns or turns[-1]["role"] != "assistant" or turns[0]["role"] != "assistant":
        raise DataError(f"{owner}: the first and the last turn must be of the role assistant: that is what is learned")
    if template.strip() != DEMONSTRATION:
        raise DataError(f"{owner}: it is a list of turns, so write sft.response: '{DEMONSTRATION}' alone")
    return [{"role": turn["role"], "content": turn["content"]} for turn in turns]


def taught_turns(tokenizer: Any, problem: Problem, turns: Sequence[Message], stops: Sequence[str]) -> TaughtRow:
    """Several turns as the rollouts of an environment have them, token by token. Those of the assistant are learned.

    A turn of the assistant ends as a rollout would: in a stop string, or with the end-of-sequence token. Other turns of
    a text prompt are continued in the same text; of a chat they go through its template.
    """
    conversation = Conversation(tokenizer, problem, Sampling(1 << 30))
    for turn in turns:
        if turn["role"] == "assistant":
            ids = list(tokenizer(turn["content"], add_special_tokens=False)["input_ids"])
            ends_itself = isinstance(problem.prompt, str) and turn is not turns[-1]
            if not ends_itself and not any(turn["content"].endswith(stop) for stop in stops):
                ids.append(tokenizer.eos_token_id)
            conversation.append_policy(ids, turn["content"])
        elif isinstance(problem.prompt, str):
            conversation.add_text(turn["content"], role=turn["role"])
        else:
            conversation.add(turn["content"], role=turn["role"])
    trajectory = conversation.trajectory()
    return TaughtRow(trajectory.prompt_ids, trajectory.response_ids, trajectory.loss_mask)
