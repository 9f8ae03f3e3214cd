"""One prompt, one response."""

from __future__ import annotations

from typing import Any

from reasonrl.engines.base import Engine, Sampling
from reasonrl.engines.hf import response_text
from reasonrl.environments.base import Episode, Trajectory
from verifiers.types import Problem


class SingleTurn:
    """The environment of most recipes. `tokenizer` renders messages with its chat template; a str prompt is tokenised as it stands."""

    def __init__(self, tokenizer: Any, sampling: Sampling) -> None:
        self._tokenizer = tokenizer
        self._sampling = sampling

    async def episode(self, problem: Problem, rollout: int, seed: int, engine: Engine) -> Episode:
        prompt_ids = encode_prompt(self._tokenizer, problem)
        made = await engine.generate(prompt_ids, self._sampling, seed)
        trajectory = Trajectory(
            role="policy",
            prompt_ids=prompt_ids,
            response_ids=made.token_ids,
            loss_mask=[True] * len(made.token_ids),
            logprobs=made.logprobs,
            text=response_text(self._tokenizer, made, self._sampling),
            finish_reason=made.finish_reason,
        )
        return Episode(problem, rollout, seed, [trajectory])


def encode_prompt(tokenizer: Any, problem: Problem) -> list[int]:
    """Token ids of a prompt, ready to be continued. Raises ValueError when messages meet a model without a chat template."""
    if isinstance(problem.prompt, str):
        return list(tokenizer(problem.prompt)["input_ids"])
    if tokenizer.chat_template is None:
        raise ValueError(
            f"problem {problem.id} has chat messages, but the model's tokenizer has no chat template. "
            "Write data.prompt.style: text, or name a chat model"
        )
    ids = tokenizer.apply_chat_template(problem.prompt, add_generation_prompt=True, return_dict=False)
    return list(ids)


def render_prompt_text(tokenizer: Any, problem: Problem) -> str:
    """The prompt as text, special tokens included: what a person checks before a run."""
    return str(tokenizer.decode(encode_prompt(tokenizer, problem)))
