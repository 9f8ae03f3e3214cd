"""What every engine promises. How the requests of many episodes become batches is in `batching`."""

from __future__ import annotations

import hashlib
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from reasonrl.models.special_tokens import opened_thought, response_until_stop

Result = TypeVar("Result")


@dataclass(frozen=True)
class Sampling:
    """How to draw tokens. `temperature` 0 is greedy."""

    max_new_tokens: int
    """Of one request: in an episode of several turns, of one turn of the policy."""
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    """0: all tokens."""
    stop: tuple[str, ...] = ()
    """The response ends with the token that completes one of these strings."""
    ignore_eos: bool = False
    """Continue after an end-of-sequence token: measurements want responses of one length."""
    max_response_tokens: int | None = None
    """All turns of an episode together, tokens of the environment included; None: `max_new_tokens`. For environments;
    engines do not read it.
    """
    may_continue: bool = False
    """The episode may ask again behind this response: an engine can keep what it has computed until the episode ends.
    """

    @property
    def response_limit(self) -> int:
        """The most tokens that may follow the prompt in an episode."""
        return self.max_response_tokens or self.max_new_tokens

    def check(self) -> None:
        """Raises ValueError for what cannot be drawn."""
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}; write at least 1")
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature is {self.temperature}; write a number from 0 (greedy) on")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; write a number above 0, at most 1 (all tokens)")
        if self.top_k < 0:
            raise ValueError(f"top_k is {self.top_k}; write 0 for all tokens, or how many")
        if "" in self.stop:
            raise ValueError("a string of stop is empty; leave it out")

    def for_turn(self, max_new_tokens: int) -> Sampling:
        """The same for one request of at most `max_new_tokens`."""
        return replace(self, max_new_tokens=max_new_tokens, max_response_tokens=None, may_continue=True)


@dataclass(frozen=True)
class Generation:
    """One response."""

    token_ids: list[int]
    """The sampled tokens, the end-of-sequence token or the end of a stop string included: they were chosen and carry
    credit.
    """
    logprobs: list[float]
    """Log-prob of each token under the model at the sampling temperature, before top-p or top-k cut anything off."""
    finish_reason: Literal["stop", "length"]


@dataclass(frozen=True)
class Request:
    token_ids: Sequence[int]
    sampling: Sampling
    seed: int
    episode: Hashable = None
    """The episode that asks, where it may ask again."""


class Engine(Protocol):
    async def generate(self, token_ids: Sequence[int], sampling: Sampling, seed: int) -> Generation:
        """Sample one continuation of `token_ids`. The same arguments draw the same noise whatever else is in the
        batch.
        """
        ...


class RoleEngines(Engine, Protocol):
    """What an episode of several roles is given: the engine of the trained role, and those of the others by name."""

    async def generate_many(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
    ) -> list[Generation]:
        """Several continuations at once, in one batch. Awaiting them one by one would cost a batch each."""
        ...

    async def elsewhere(self, call: Awaitable[Result]) -> Result:
        """The result of `call`: something slow outside of the engine, such as a server, a tool or a thread.

        The other episodes continue meanwhile; the rule is in `reasonrl.engines.batching`.
        """
        ...

    def role(self, name: str) -> RoleEngines:
        """The engine of another role. Raises ValueError when there is none of that name."""
        ...


class ArrivingEngine(Protocol):
    """An engine that takes requests when they arrive, from one event loop: a server's."""

    on_begin: Callable[[float], None]
    """Is given how long each request waited until it was first computed, by engines that know."""

    @property
    def is_running(self) -> bool:
        """False: nothing that is asked will be answered."""
        ...

    async def generate(self, token_ids: Sequence[int], sampling: Sampling, seed: int) -> Generation:
        """One continuation of `token_ids`. A caller that is cancelled cancels its request."""
        ...

    def stream(self, token_ids: Sequence[int], sampling: Sampling, seed: int) -> AsyncGenerator[int | Generation]:
        """The tokens of one continuation as they are drawn, and last the generation."""
        ...

    async def __aexit__(self, *_: object) -> None: ...


class BatchEngine(Protocol):
    """An engine that runs in this process and wants batches."""

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]: ...


@runtime_checkable
class KeepingEngine(Protocol):
    """An engine that keeps what it has computed for an episode from one turn to the next."""

    def end_episode(self, episode: Hashable) -> None:
        """The episode will not ask again."""
        ...


@runtime_checkable
class SleepingEngine(Protocol):
    """An engine that can hand its memory to the trainer between rollouts."""

    def sleep(self) -> None: ...


def derive_seed(*parts: object) -> int:
    """A 64-bit seed from anything printable, e.g. (run seed, step, problem id, rollout): the same everywhere, for
    ever.
    """
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def response_text(tokenizer: Any, generation: Generation, sampling: Sampling, prompt_ids: Sequence[int] = ()) -> str:
    """The response as a verifier reads it: cut before the first stop string, without the special tokens that only frame
    it, and after a prompt that ends within a thought, with the beginning of this thought. The rule is in
    `reasonrl.models.special_tokens`.
    """
    ended = generation.finish_reason == "stop"
    text = response_until_stop(tokenizer, generation.token_ids, sampling.stop, ended=ended)
    return opened_thought(tokenizer, prompt_ids) + text
