"""One prompt, one response."""

from __future__ import annotations

from typing import Any

from reasonrl.engines.base import Engine, Sampling, response_text
from reasonrl.environments.base import Episode, Trajectory
from verifiers.types import Message, Problem


class SingleTurn:
    """The environment of most recipes. `tokenizer` renders messages with its chat template; a str prompt is tokenised
    as it stands.
    """

    def __init__(self, tokenizer: Any, sampling: Sampling) -> None:
        self._tokenizer = tokenizer
        self._sampling = sampling

    async def episode(self, problem: Problem, rollout: int, seed: int, engine: Engine) -> Episode:
        prompt_ids = encode_prompt(self._tokenizer, problem)
        generation = await engine.generate(prompt_ids, self._sampling, seed)
        trajectory = Trajectory(
            role="policy",
            prompt_ids=prompt_ids,
            response_ids=generation.token_ids,
            loss_mask=[True] * len(generation.token_ids),
            logprobs=generation.logprobs,
            text=response_text(self._tokenizer, generation, self._sampling),
            finish_reason=generation.finish_reason,
        )
        return Episode(problem, rollout, seed, [trajectory])


def encode_prompt(tokenizer: Any, problem: Problem) -> list[int]:
    """Token ids of a prompt, ready to be continued. Raises ValueError when messages meet a model without a chat
    template.
    """
    return encode_messages(tokenizer, problem.prompt, f"problem {problem.id}")


def encode_messages(tokenizer: Any, prompt: str | list[Message], owner: str) -> list[int]:
    """The same of any prompt; `owner` names it in the message."""
    if isinstance(prompt, str):
        return list(tokenizer(prompt)["input_ids"])
    if tokenizer.chat_template is None:
        raise ValueError(
            f"{owner} has messages, but the model's tokenizer has no chat template. Write data.prompt.style: text, or"
            " take a chat model"
        )
    return list(tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False))


def render_prompt_text(tokenizer: Any, problem: Problem) -> str:
    """The prompt as text, special tokens included: what a person checks before a run."""
    return str(tokenizer.decode(encode_prompt(tokenizer, problem)))
