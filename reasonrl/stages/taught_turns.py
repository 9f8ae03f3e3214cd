"""Demonstrations of several turns, such as calls of tools: what is learned of them is what the policy says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reasonrl.engines.base import Sampling
from reasonrl.environments.conversation import Conversation
from reasonrl.environments.tools.formats import ToolFormat
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


def taught_turns(
    tokenizer: Any,
    problem: Problem,
    turns: Sequence[Message],
    stops: Sequence[str],
    tool_format: ToolFormat | None = None,
) -> TaughtRow:
    """Several turns as the rollouts of an environment have them, token by token. Those of the assistant are learned.

    A turn of the assistant ends as a rollout would: in a stop string, or with the end-of-sequence token. Other turns of
    a text prompt are continued in the same text; of a chat they go through its template, except for results of tools in
    a format that writes them into the assistant's own turn.

    Args:
        tool_format: of the environment, if it is `tool_use`.
    """
    conversation = Conversation(tokenizer, problem, Sampling(1 << 30))
    is_text = isinstance(problem.prompt, str)
    if tool_format is not None:
        stops = (*stops, *tool_format.stop)
    written = ""
    for place, turn in enumerate(turns):
        if turn["role"] == "assistant":
            written = turn["content"]
            follows = turns[place + 1] if place + 1 < len(turns) else None
            goes_on = follows is not None and (is_text or _in_text(follows, written, tool_format) is not None)
            ids = list(tokenizer(written, add_special_tokens=False)["input_ids"])
            if not goes_on and not any(written.endswith(stop) for stop in stops):
                ids.append(tokenizer.eos_token_id)
            conversation.append_policy(ids, written)
        elif is_text:
            conversation.add_text(turn["content"], role=turn["role"])
        elif (text := _in_text(turn, written, tool_format)) is not None:
            conversation.add_text(text, role=turn["role"])
        else:
            conversation.add(turn["content"], role=turn["role"])
    trajectory = conversation.trajectory()
    return TaughtRow(trajectory.prompt_ids, trajectory.response_ids, trajectory.loss_mask)


def _in_text(turn: Message, written: str, tool_format: ToolFormat | None) -> str | None:
    """A result as the format writes it into the assistant's turn; None where the template has a turn for it."""
    if tool_format is None or turn["role"] != "tool":
        return None
    results = tool_format.results([turn["content"]], written)
    return results if isinstance(results, str) else None
