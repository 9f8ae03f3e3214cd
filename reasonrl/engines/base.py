"""What every engine promises, and how single requests become batches.

An environment is an async function that awaits `engine.generate` for one episode. The engine must not run those one at
a time, and must not wait on a clock either, or two runs of the same seed would batch, and round, differently. So
`run_episodes` counts the live episodes: when every one of them waits for the engine, all their requests run as one
batch, in the order of the episodes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

Result = TypeVar("Result")


@dataclass(frozen=True)
class Sampling:
    """How to draw tokens. `temperature` 0 is greedy."""

    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    """0: all tokens."""
    stop: tuple[str, ...] = ()
    """The response ends with the token that completes one of these strings."""
    ignore_eos: bool = False
    """Go on after an end-of-sequence token: measurements want responses of one length."""


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
        """Several continuations at once. Asking for them one by one would cost a batch each."""
        ...

    def role(self, name: str) -> RoleEngines:
        """The engine of another role. Raises ValueError when there is none of that name."""
        ...


class BatchEngine(Protocol):
    """An engine that runs in this process and wants batches."""

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]: ...


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


@dataclass
class _Waiting:
    order: int
    role: str
    requests: list[Request]
    answer: asyncio.Future[list[Generation]]


@dataclass
class BatchingEngine:
    """Collects the requests of live episodes and hands them to their BatchEngines when every one of them waits.

    An episode that waits for something else, the answer of a server say, holds the batches up until it has it.
    """

    engines: Mapping[str, BatchEngine]
    """By role; "" is the one that is trained."""
    live: int = 0
    failed: bool = False
    """One episode has raised: the others are being cancelled, so nothing more is generated for them."""
    _waiting: list[_Waiting] = field(default_factory=list)

    def for_episode(self, order: int) -> EpisodeEngine:
        return EpisodeEngine(self, order)

    def submit(self, order: int, role: str, requests: list[Request]) -> asyncio.Future[list[Generation]]:
        answer: asyncio.Future[list[Generation]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(order, role, requests, answer))
        self.run_if_all_wait()
        return answer

    def run_if_all_wait(self) -> None:
        if self.failed or not self._waiting or len(self._waiting) < self.live:
            return
        everyone, self._waiting = sorted(self._waiting, key=lambda w: w.order), []
        for role in sorted({waiting.role for waiting in everyone}):
            batch = [waiting for waiting in everyone if waiting.role == role]
            try:
                results = iter(
                    self.engines[role].generate_batch([request for waiting in batch for request in waiting.requests])
                )
                answers = [[next(results) for _ in waiting.requests] for waiting in batch]
            except BaseException as error:
                for waiting in everyone:
                    if not waiting.answer.done():
                        waiting.answer.set_exception(error)
                return
            for waiting, result in zip(batch, answers, strict=True):
                waiting.answer.set_result(result)


@dataclass(frozen=True)
class EpisodeEngine:
    """The engines as one episode sees them."""

    batching: BatchingEngine
    order: int
    name: str = ""

    async def generate(self, token_ids: Sequence[int], sampling: Sampling, seed: int) -> Generation:
        return (await self.generate_many([token_ids], sampling, [seed]))[0]

    async def generate_many(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
    ) -> list[Generation]:
        requests = [Request(tuple(ids), sampling, seed) for ids, seed in zip(prompts, seeds, strict=True)]
        return await self.batching.submit(self.order, self.name, requests) if requests else []

    def role(self, name: str) -> EpisodeEngine:
        if name not in self.batching.engines:
            raise ValueError(
                f"there is no engine for the role '{name}'; there are"
                f" {', '.join(filter(None, self.batching.engines)) or 'none'}"
            )
        return EpisodeEngine(self.batching, self.order, name)


def run_episodes(
    episodes: Sequence[Callable[[RoleEngines], Awaitable[Result]]],
    engine: BatchEngine,
    others: Mapping[str, BatchEngine] | None = None,
) -> list[Result]:
    """Run all episodes to their end, batching their requests; results in order. The first exception stops them all and
    is raised.

    `others` are the engines of roles that are not trained.
    """

    async def run_all() -> list[Result]:
        batching = BatchingEngine({"": engine, **(others or {})}, live=len(episodes))

        async def run_one(order: int, episode: Callable[[RoleEngines], Awaitable[Result]]) -> Result:
            try:
                result = await episode(batching.for_episode(order))
            except BaseException:
                batching.failed = True
                raise
            batching.live -= 1
            batching.run_if_all_wait()
            return result

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run_one(i, episode)) for i, episode in enumerate(episodes)]
        return [task.result() for task in tasks]

    try:
        return asyncio.run(run_all())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


def response_text(tokenizer: Any, generation: Generation, sampling: Sampling) -> str:
    """The response as a verifier reads it: special tokens gone, cut before the first stop string."""
    text = tokenizer.decode(generation.token_ids, skip_special_tokens=True)
    cuts = [text.find(stop) for stop in sampling.stop if stop in text]
    return text[: min(cuts)] if cuts else text
