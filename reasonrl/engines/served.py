"""Models on an OpenAI-compatible server (vLLM, SGLang, llama.cpp, a provider): texts in, texts out, for roles that
are not trained.

A server answers with text, so there are no token ids or log-probs to train on. What goes wrong with one request is
`ServedFailure`: the episode is masked and counted, it does not score 0.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from reasonrl.engines.base import Sampling
from reasonrl.engines.server_events import BrokenStream, StreamedAnswer, read_events
from reasonrl.errors import ModelError
from verifiers.types import Message

RETRIES = 3
LONGEST_WAIT_S = 60.0
"""A server that asks for a longer pause is asked again after this one."""
RETRY_ON = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


class ServedFailure(Exception):
    """One request was not answered with text. Says why in one line."""


class ServedRefusal(ServedFailure):
    """The server refuses this chat, for its length say, whenever it is asked."""


class ServedAnswer(NamedTuple):
    """What a server said."""

    text: str
    finish_reason: str
    tokens: int | None
    """By the server's own count; None where it does not say."""
    prompt_tokens: int | None = None


@dataclass
class ServedModel:
    """`base_url` ends in /v1. `name` None takes the server's only model."""

    base_url: str
    name: str | None = None
    timeout_s: float = 120.0
    api_key_env: str = "OPENAI_API_KEY"
    concurrency: int = 16
    retry_wait_s: float = 0.5
    failures: int = field(default=0, init=False)
    errors: Counter[str] = field(default_factory=Counter, init=False)
    """Attempts that failed, by kind: timeout, connection, busy (429 or 503), status, refused, unreadable, stream."""
    _threads: ThreadPoolExecutor | None = field(default=None, init=False, repr=False)
    _client: Any = field(default=None, init=False, repr=False)
    _async_client: Any = field(default=None, init=False, repr=False)

    def check(self) -> None:
        """Ask the server for its models, once, before anything is trained. Raises ModelError with one message."""
        import httpx

        try:
            answer = httpx.get(
                f"{self.base_url.rstrip('/')}/models", headers=self._headers(), timeout=min(self.timeout_s, 10.0)
            )
            answer.raise_for_status()
            names = [row["id"] for row in answer.json()["data"]]
            shown = ", ".join(map(str, names)) or "no model"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
            reason = str(error) or type(error).__name__
            raise ModelError(
                f"{self.base_url}: no OpenAI-compatible server answers there ({reason}). Is it running, and does the"
                " address end in /v1?"
            ) from error
        if self.name is None:
            if len(names) != 1:
                raise ModelError(f"{self.base_url} serves {shown}; choose one with served_name")
            self.name = names[0]
        elif self.name not in names:
            raise ModelError(f"{self.base_url} does not serve '{self.name}', but {shown}; fix served_name")

    async def say_many(
        self, chats: Sequence[Sequence[Message]], sampling: Sampling, seeds: Sequence[int]
    ) -> list[ServedAnswer]:
        """One answer to each chat. Raises ServedFailure when a request still fails after its retries.

        At most `concurrency` requests are under way, of all episodes together; connections are kept from one step to
        the next.
        """
        import httpx

        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.concurrency, thread_name_prefix="served")
            self._client = httpx.Client(timeout=self.timeout_s, headers=self._headers())
        loop = asyncio.get_running_loop()
        calls = [
            loop.run_in_executor(self._threads, self._ask, chat, sampling, seed)
            for chat, seed in zip(chats, seeds, strict=True)
        ]
        return await asyncio.gather(*calls)

    async def say(self, chat: Sequence[Message], sampling: Sampling, seed: int) -> ServedAnswer:
        """One answer, without a thread: a caller that is cancelled closes its connection, so that the server computes
        for nobody. In one event loop only, which calls `aclose` at its end. Raises ServedFailure as `say_many`.
        """
        import httpx

        client, body = self._client_of_loop(), self._body(chat, sampling, seed)
        why, wait = "", 0.0
        for attempt in range(RETRIES):
            if attempt:
                await asyncio.sleep(max(wait, self.retry_wait_s * 2 ** (attempt - 1)))
            try:
                answer = await client.post(self._address, json=body)
            except httpx.HTTPError as error:
                why, wait = self._failure_of(error), 0.0
                if isinstance(error, httpx.ReadTimeout):  # it computes for longer than anybody waits; so it would again
                    raise self._given_up(why, attempt + 1) from error
                continue
            if answer.status_code not in RETRY_ON:
                return self._read(answer)
            why, wait = self._busy(answer), _retry_after_s(answer.headers.get("retry-after"))
        raise self._given_up(why)

    async def stream(
        self, chat: Sequence[Message], sampling: Sampling, seed: int
    ) -> AsyncGenerator[str | ServedAnswer]:
        """The answer piece by piece, as it comes, and last as a whole. To close it early closes its connection. A
        server that does not stream gives one piece. Raises ServedFailure as `say`: what fails after the first piece is
        not tried again.
        """
        import httpx

        client, body = self._client_of_loop(), self._body(chat, sampling, seed)
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        why, wait, has_begun = "", 0.0, False
        for attempt in range(RETRIES):
            if attempt:
                await asyncio.sleep(max(wait, self.retry_wait_s * 2 ** (attempt - 1)))
            try:
                async with client.stream("POST", self._address, json=body) as answer:
                    if answer.status_code in RETRY_ON:
                        why, wait = self._busy(answer), _retry_after_s(answer.headers.get("retry-after"))
                        continue
                    async with aclosing(self._pieces(answer)) as pieces:
                        async for piece in pieces:
                            has_begun = True
                            yield piece
                    return
            except (httpx.HTTPError, BrokenStream) as error:
                why, wait = self._failure_of(error), 0.0
                if has_begun:
                    break
        raise self._given_up(why, attempt + 1)

    async def _pieces(self, answer: Any) -> AsyncGenerator[str | ServedAnswer]:
        """Of an answer whose head has come. Raises ServedFailure, BrokenStream, httpx.HTTPError."""
        if answer.status_code != 200 or not answer.headers.get("content-type", "").startswith("text/event-stream"):
            await answer.aread()
            whole = self._read(answer)
            if whole.text:
                yield whole.text
            yield whole
            return
        streamed, is_done = StreamedAnswer(), False
        async for event in read_events(answer.aiter_bytes()):
            is_done = event is None
            piece = "" if event is None else streamed.add(event)
            if piece:
                yield piece
        if not is_done and streamed.finish_reason is None:
            raise BrokenStream("its stream ends in the middle")
        if not streamed.text and streamed.thought:  # cut off within a thought, as `_text_of` has it
            streamed.text = f"<think>{streamed.thought}"
            yield streamed.text
        used, prompt = _counts(streamed.usage)
        yield ServedAnswer(streamed.text, streamed.finish_reason or "stop", used, prompt)

    def _client_of_loop(self) -> Any:
        import httpx

        if self._async_client is None:
            limits = httpx.Limits(max_connections=None)
            self._async_client = httpx.AsyncClient(timeout=self.timeout_s, headers=self._headers(), limits=limits)
        return self._async_client

    async def aclose(self) -> None:
        if self._async_client is not None:
            await self._async_client.aclose()
            self._async_client = None

    @property
    def _address(self) -> str:
        return f"{self.base_url.rstrip('/')}/chat/completions"

    def _body(self, chat: Sequence[Message], sampling: Sampling, seed: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.name,
            "messages": list(chat),
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "seed": seed % 2**31,
        }
        if chat and chat[-1]["role"] == "assistant":  # as vLLM and SGLang spell it; others continue it by themselves
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        if sampling.top_p < 1:
            body["top_p"] = sampling.top_p
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        return body

    def _ask(self, chat: Sequence[Message], sampling: Sampling, seed: int) -> ServedAnswer:
        import httpx

        assert self._client is not None
        body, why, wait = self._body(chat, sampling, seed), "", 0.0
        for attempt in range(RETRIES):
            if attempt:
                time.sleep(max(wait, self.retry_wait_s * 2 ** (attempt - 1)))
            try:
                answer = self._client.post(self._address, json=body)
            except httpx.HTTPError as error:
                why, wait = self._failure_of(error), 0.0
                continue
            if answer.status_code not in RETRY_ON:
                return self._read(answer)
            why, wait = self._busy(answer), _retry_after_s(answer.headers.get("retry-after"))
        raise self._given_up(why)

    def _failure_of(self, error: Exception) -> str:
        import httpx

        is_late = isinstance(error, httpx.TimeoutException)
        kind = "stream" if isinstance(error, BrokenStream) else "timeout" if is_late else "connection"
        self.errors[kind] += 1
        if is_late:
            return f"no answer within {self.timeout_s:g} s"
        return str(error) or type(error).__name__

    def _busy(self, answer: Any) -> str:
        self.errors["busy" if answer.status_code in (429, 503) else "status"] += 1
        return f"status {answer.status_code}"

    def _given_up(self, why: str, attempts: int = RETRIES) -> ServedFailure:
        self.failures += 1
        return ServedFailure(f"{self.base_url}: {why} ({attempts} attempt{'' if attempts == 1 else 's'})")

    def _read(self, answer: Any) -> ServedAnswer:
        if answer.status_code in (400, 413, 422):
            self.failures += 1
            self.errors["refused"] += 1
            raise ServedRefusal(f"{self.base_url}: status {answer.status_code}: {answer.text[:200]}")
        try:
            if answer.status_code != 200:
                raise ValueError(f"status {answer.status_code}: {answer.text[:200]}")
            content = answer.json()
            choice = content["choices"][0]
            text = _text_of(choice["message"])
            if text is None and choice.get("finish_reason") == "length":
                text = ""  # cut off before the first word that is no thought
            if not isinstance(text, str):
                raise TypeError("its message has no text")
        except (ValueError, KeyError, IndexError, TypeError) as error:
            self.failures += 1
            self.errors["unreadable" if answer.status_code == 200 else "status"] += 1
            raise ServedFailure(
                f"{self.base_url}: the answer cannot be read: {type(error).__name__}: {error}"
            ) from error
        used, prompt = _counts(content.get("usage"))
        return ServedAnswer(text, str(choice.get("finish_reason") or "stop"), used, prompt)

    def _headers(self) -> dict[str, str]:
        key = os.environ.get(self.api_key_env)
        return {"Authorization": f"Bearer {key}"} if key else {}


def _counts(usage: Any) -> tuple[int | None, int | None]:
    """Completion and prompt tokens; None where the server does not say."""
    counts = [usage.get(f"{kind}_tokens") if isinstance(usage, dict) else None for kind in ("completion", "prompt")]
    used, prompt = (count if isinstance(count, int) else None for count in counts)
    return used, prompt


def _retry_after_s(header: str | None) -> float:
    """Seconds that a server asks to wait; 0 where it asks for nothing that can be read."""
    try:
        seconds = float(header or 0)
    except ValueError:
        return 0.0
    return min(LONGEST_WAIT_S, seconds) if seconds > 0 else 0.0


def _text_of(message: Any) -> Any:
    """The content; of a message that a server cut off within its thought, the thought as one that is not closed."""
    text = message["content"]
    thought = message.get("reasoning_content") or message.get("reasoning")
    return f"<think>{thought}" if text is None and isinstance(thought, str) else text
