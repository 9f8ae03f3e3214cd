"""One prompt, one response."""

from __future__ import annotations

from typing import Any

from reasonrl.engines.base import Engine, Sampling, response_text
from reasonrl.environments.base import Episode, Trajectory
from reasonrl.errors import DataError
from reasonrl.models.chat_template import render_chat
from reasonrl.models.special_tokens import special_tokens
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
            text=response_text(self._tokenizer, generation, self._sampling, prompt_ids),
            finish_reason=generation.finish_reason,
        )
        return Episode(problem, rollout, seed, [trajectory])


def encode_prompt(tokenizer: Any, problem: Problem) -> list[int]:
    """Token ids of a prompt, ready to be continued: one beginning-of-text token at most, no end token behind it. The
    chat template describes the problem's functions.

    Raises:
        ModelError: messages meet a model without a chat template, or with a broken one.
        DataError: the chat template refuses the messages, or the prompt ends with an end token.
    """
    return encode_messages(tokenizer, problem.prompt, f"problem {problem.id}", problem.functions)


def encode_messages(
    tokenizer: Any, prompt: str | list[Message], owner: str, functions: list[dict[str, Any]] | None = None
) -> list[int]:
    """The same of any prompt; `owner` names it in an error. A last message of the assistant is continued."""
    if isinstance(prompt, str):
        text = prompt
        ids = _encode_text(tokenizer, prompt)
    else:
        text = render_chat(tokenizer, prompt, owner, functions)
        ids = list(tokenizer(text, add_special_tokens=False)["input_ids"])
        if (token := _ready_made(tokenizer, prompt, text)) is not None:
            raise DataError(
                f"{owner}: its first message begins with {token!r}, which the chat template writes itself. Remove it"
                " from the message, or write data.prompt.style: text for prompts that are complete"
            )
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    while bos is not None and ids[:2] == [bos, bos]:
        del ids[0]
    ends = eos is not None and (ids[-1:] == [eos] or text.rstrip().endswith(tokenizer.eos_token))
    if ends and ids != [bos]:
        raise DataError(
            f"{owner}: its prompt ends with the end token {tokenizer.eos_token!r}, after which a model has nothing to"
            f" say. {'Remove it from the prompt' if isinstance(prompt, str) else _NO_BEGINNING}"
        )
    return ids


_NO_BEGINNING = (
    "The chat template writes no beginning of an answer after the last message: give it one"
    " (add_generation_prompt), or write data.prompt.style: text"
)


def _encode_text(tokenizer: Any, text: str) -> list[int]:
    """A text with what the tokenizer writes before it, without what it writes after it. A text that begins with the
    beginning-of-text token needs nothing before it.
    """
    if _begins(text, tokenizer.bos_token):
        return list(tokenizer(text.lstrip(), add_special_tokens=False)["input_ids"])
    ids = list(tokenizer(text)["input_ids"])
    bare = list(tokenizer(text, add_special_tokens=False)["input_ids"])
    if ids == bare:
        return ids
    if not bare:
        return [i for i in ids if i == tokenizer.bos_token_id]
    for start in range(len(ids) - len(bare) + 1):
        if ids[start : start + len(bare)] == bare:
            return ids[: start + len(bare)]
    return ids


def _ready_made(tokenizer: Any, prompt: list[Message], text: str) -> str | None:
    """The token of the chat template's frame with which the first message begins: it has been rendered before.

    Args:
        text: the prompt as the template writes it.
    """
    first = prompt[0]["content"].lstrip() if prompt else ""
    for token in special_tokens(tokenizer).dropped.values():
        if first.startswith(token) and text.count(token) > sum(m["content"].count(token) for m in prompt):
            return token
    return None


def _begins(text: str, token: str | None) -> bool:
    return bool(token) and text.lstrip().startswith(str(token))


def render_prompt_text(tokenizer: Any, problem: Problem) -> str:
    """The prompt as text, special tokens included: what a person checks before a run."""
    return str(tokenizer.decode(encode_prompt(tokenizer, problem)))
