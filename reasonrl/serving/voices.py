"""Models that answer one chat: this server's own, or behind an OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from reasonrl.engines.base import ArrivingEngine, Generation, Sampling, response_text
from reasonrl.engines.served import ServedAnswer, ServedModel, ServedRefusal
from reasonrl.environments.single_turn import encode_messages
from reasonrl.errors import DataError
from reasonrl.models.special_tokens import without_opened_thought
from reasonrl.serving.turns import Turns
from verifiers.types import Message

Chat = Sequence[Message]
CALLS_UNDER_WAY = 256
"""Of one model: enough to fill its batches."""
_LONG_CHARS = 20_000
"""To encode a longer chat takes long enough to do it beside the event loop."""
_CHATS_KEPT = 16


class BadPrompt(ValueError):
    """The model cannot be asked this. The message says why."""


def reason_for_log(error: BaseException) -> str:
    """Why a model did not answer, without what a server wrote: it may quote the request."""
    return re.sub(r"(status \d+).*", r"\1", str(error), flags=re.DOTALL)


@dataclass(frozen=True, slots=True)
class Said:
    """One answer."""

    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int | None
    completion_tokens: int | None
    """None where a server does not say."""


class Voice(Protocol):
    """A model under its public name."""

    @property
    def name(self) -> str: ...

    async def say(self, chat: Chat, sampling: Sampling, seed: int) -> Said:
        """One answer. A caller that is cancelled cancels it.

        Raises:
            BadPrompt: the chat does not fit the model.
            OverloadedError, ModelError, ServedFailure: it cannot answer now.
        """
        ...

    def stream(self, chat: Chat, sampling: Sampling, seed: int) -> AsyncGenerator[str | Said]:
        """The answer piece by piece, and last as a whole. Raises as `say`."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class LocalVoice:
    """A model of this server's own. `context` is the most tokens of a prompt and its answer."""

    name: str
    tokenizer: Any
    engine: ArrivingEngine
    context: int
    turns: Turns = field(default_factory=lambda: Turns(CALLS_UNDER_WAY))
    _encoded: OrderedDict[tuple[tuple[str, str], ...], list[int]] = field(default_factory=OrderedDict, repr=False)
    """Tokens of the last chats: most calls of a request ask the same."""
    _encoding: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    @property
    def is_running(self) -> bool:
        """False: it will never answer again, unless this server is started again."""
        return self.engine.is_running

    async def say(self, chat: Chat, sampling: Sampling, seed: int) -> Said:
        async with self.turns.turn():
            ids, sampling = await self._prepare(chat, sampling)
            return self._said(ids, await self.engine.generate(ids, sampling, seed), sampling)

    async def stream(self, chat: Chat, sampling: Sampling, seed: int) -> AsyncGenerator[str | Said]:
        async with self.turns.turn(), aclosing(self._streamed(chat, sampling, seed)) as pieces:
            async for piece in pieces:
                yield piece

    async def _streamed(self, chat: Chat, sampling: Sampling, seed: int) -> AsyncGenerator[str | Said]:
        ids, sampling = await self._prepare(chat, sampling)
        drawn: list[int] = []
        shown = ""
        held_back = max(map(len, sampling.stop), default=1) - 1
        async with aclosing(self.engine.stream(ids, sampling, seed)) as tokens:
            async for token in tokens:
                if isinstance(token, Generation):
                    reply = self._said(ids, token, sampling)
                    if reply.text.startswith(shown) and len(reply.text) > len(shown):
                        yield reply.text[len(shown) :]
                    yield reply
                    return
                drawn.append(token)
                text = response_text(self.tokenizer, Generation(drawn, [0.0] * len(drawn), "length"), sampling, ids)
                # What may become a stop string, or is half of a letter, is not shown yet.
                text = text[: len(text) - held_back].rstrip("\ufffd")
                if text.startswith(shown) and len(text) > len(shown):
                    yield text[len(shown) :]
                    shown = text

    async def close(self) -> None:
        await self.engine.__aexit__()

    async def _prepare(self, chat: Chat, sampling: Sampling) -> tuple[list[int], Sampling]:
        key = tuple((message["role"], message["content"]) for message in chat)
        async with self._encoding:
            ids = self._encoded.get(key)
            if ids is None:
                is_long = sum(len(content) for _, content in key) > _LONG_CHARS
                ids = await asyncio.to_thread(self._encode, chat) if is_long else self._encode(chat)
                self._encoded[key] = ids
                if len(self._encoded) > _CHATS_KEPT:
                    self._encoded.popitem(last=False)
        room = self.context - len(ids)
        if room < 1:
            raise BadPrompt(f"the prompt has {len(ids)} tokens; {self.name} takes at most {self.context - 1}")
        return ids, sampling.for_turn(min(room, sampling.max_new_tokens))

    def _encode(self, chat: Chat) -> list[int]:
        beginning = chat[-1]["content"] if chat[-1]["role"] == "assistant" else ""
        messages = list(chat[:-1] if beginning else chat)
        try:
            ids = encode_messages(self.tokenizer, messages, "messages")
        except DataError as error:
            raise BadPrompt(str(error)) from error
        if beginning:
            beginning = without_opened_thought(self.tokenizer, ids, beginning)
            ids = ids + list(self.tokenizer(beginning, add_special_tokens=False)["input_ids"])
        return ids

    def _said(self, ids: Sequence[int], generation: Generation, sampling: Sampling) -> Said:
        text = response_text(self.tokenizer, generation, sampling, ids)
        return Said(text, generation.finish_reason, len(ids), len(generation.token_ids))


@dataclass(frozen=True)
class ServedVoice:
    """A model behind another server, which renders the chat itself."""

    name: str
    model: ServedModel
    turns: Turns = field(default_factory=lambda: Turns(CALLS_UNDER_WAY))

    async def say(self, chat: Chat, sampling: Sampling, seed: int) -> Said:
        try:
            async with self.turns.turn():
                return self._said(await self.model.say(chat, sampling, seed))
        except ServedRefusal as error:
            raise self._refusal() from error

    async def stream(self, chat: Chat, sampling: Sampling, seed: int) -> AsyncGenerator[str | Said]:
        try:
            async with self.turns.turn(), aclosing(self.model.stream(chat, sampling, seed)) as pieces:
                async for piece in pieces:
                    yield piece if isinstance(piece, str) else self._said(piece)
        except ServedRefusal as error:
            raise self._refusal() from error

    @staticmethod
    def _said(answer: ServedAnswer) -> Said:
        finish: Literal["stop", "length"] = "length" if answer.finish_reason == "length" else "stop"
        return Said(answer.text, finish, answer.prompt_tokens, answer.tokens)

    @staticmethod
    def _refusal() -> BadPrompt:
        return BadPrompt("the model behind this server refuses this prompt; it may be too long")

    async def close(self) -> None:
        await self.model.aclose()
