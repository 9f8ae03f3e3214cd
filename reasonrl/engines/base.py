"""What every engine promises, and how single requests become batches.

An environment is an async function that awaits `engine.generate` for one episode. The engine must not run those one at a time, and must
not wait on a clock either, or two runs of the same seed would batch, and round, differently. So `run_episodes` counts the live episodes:
when every one of them waits for the engine, all their requests run as one batch, in the order of the episodes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

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
    """The sampled tokens, the end-of-sequence token or the end of a stop string included: they were chosen and carry credit."""
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
        """Sample one continuation of `token_ids`. The same arguments draw the same noise whatever else is in the batch."""
        ...


class BatchEngine(Protocol):
    """An engine that runs in this process and wants batches."""

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]: ...


def derive_seed(*parts: object) -> int:
    """A 64-bit seed from anything printable, e.g. (run seed, step, problem id, rollout): the same everywhere, for ever."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


@dataclass
class _Waiting:
    order: int
    request: Request
    answer: asyncio.Future[Generation]


@dataclass
class GatheringEngine:
    """Collects the requests of live episodes and hands them to a BatchEngine when every one of them waits."""

    engine: BatchEngine
    live: int = 0
    failed: bool = False
    """One episode has raised: the others are being cancelled, so nothing more is generated for them."""
    _waiting: list[_Waiting] = field(default_factory=list)

    def seat(self, order: int) -> _Seat:
        return _Seat(self, order)

    def submit(self, order: int, request: Request) -> asyncio.Future[Generation]:
        answer: asyncio.Future[Generation] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(order, request, answer))
        self.run_if_all_wait()
        return answer

    def run_if_all_wait(self) -> None:
        if self.failed or not self._waiting or len(self._waiting) < self.live:
            return
        batch, self._waiting = sorted(self._waiting, key=lambda w: w.order), []
        try:
            results = self.engine.generate_batch([w.request for w in batch])
        except BaseException as error:
            for waiting in batch:
                waiting.answer.set_exception(error)
            return
        for waiting, result in zip(batch, results, strict=True):
            waiting.answer.set_result(result)


@dataclass(frozen=True)
class _Seat:
    """The engine as one episode sees it."""

    gathering: GatheringEngine
    order: int

    async def generate(self, token_ids: Sequence[int], sampling: Sampling, seed: int) -> Generation:
        return await self.gathering.submit(self.order, Request(tuple(token_ids), sampling, seed))


def run_episodes(episodes: Sequence[Callable[[Engine], Awaitable[Result]]], engine: BatchEngine) -> list[Result]:
    """Run all episodes to their end, batching their requests; results in order. The first exception stops them all and is raised."""

    async def run_all() -> list[Result]:
        gathering = GatheringEngine(engine, live=len(episodes))

        async def run_one(order: int, episode: Callable[[Engine], Awaitable[Result]]) -> Result:
            try:
                result = await episode(gathering.seat(order))
            except BaseException:
                gathering.failed = True
                raise
            gathering.live -= 1
            gathering.run_if_all_wait()
            return result

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run_one(i, episode)) for i, episode in enumerate(episodes)]
        return [task.result() for task in tasks]

    try:
        return asyncio.run(run_all())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
