"""How the single requests of many episodes become batches, by a rule that knows no clock.

An environment is an async function that awaits `engine.generate` for one episode. Requests must not run one at a time,
and no timer may decide which of them share a batch, or two runs of one seed would batch, and round, differently. The
rule:

    The round of an episode is the number of calls that it has made elsewhere: `await engine.elsewhere(...)` for a
    server, a tool, a verifier. The engine serves the lowest round that a live episode is in. When all live episodes of
    this round wait for the engine, their requests run as one batch, in the order of the episodes.

So episodes that never leave are not held back by a slow partner. Those that do leave meet again after each call: one
slow call delays the others by the round in which it returns, and by no other. Which requests share a batch depends on
what the episodes do, never on how long it takes. An episode that awaits anything else, without `elsewhere`, holds its
round up until that is done.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from reasonrl.engines.base import BatchEngine, Generation, KeepingEngine, Request, RoleEngines, Sampling
from reasonrl.engines.finite import require_finite_logprobs
from reasonrl.host.loops import run_to_end

Result = TypeVar("Result")


@dataclass
class _Waiting:
    order: int
    role: str
    requests: list[Request]
    answer: asyncio.Future[list[Generation]]


@dataclass
class Batching:
    """Collects the requests of live episodes and runs them in batches, by the rule above."""

    engines: Mapping[str, BatchEngine]
    """By role; "" is the one that is trained."""
    rounds: dict[int, int]
    """The round of each live episode, by its number."""
    failed: bool = False
    """One episode has raised: the others are being cancelled, so nothing more is generated for them."""
    _waiting: list[_Waiting] = field(default_factory=list)
    _elsewhere: Counter[int] = field(default_factory=Counter)
    """How many calls each episode has under way elsewhere."""
    _running: bool = False
    _over: list[int] = field(default_factory=list)
    """Episodes that have ended and of which the engines have not been told: one may be running."""
    _number: int = field(default_factory=itertools.count().__next__)
    _thread: ThreadPoolExecutor | None = None

    def submit(self, order: int, role: str, requests: list[Request]) -> asyncio.Future[list[Generation]]:
        answer: asyncio.Future[list[Generation]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(order, role, requests, answer))
        self.look_soon()
        return answer

    async def elsewhere(self, order: int, call: Awaitable[Result]) -> Result:
        self.rounds[order] += 1
        self._elsewhere[order] += 1
        self.look_soon()
        try:
            return await call
        finally:
            self._elsewhere[order] -= 1
            self.look_soon()

    def end(self, order: int) -> None:
        """An episode is over."""
        del self.rounds[order]
        self._over.append(order)
        self.look_soon()

    def name_of(self, order: int) -> tuple[int, int]:
        """The episode's name for the engines, which may serve several calls of `run_episodes` one after another."""
        return self._number, order

    def _tell_engines(self) -> None:
        for engine in self.engines.values():
            if isinstance(engine, KeepingEngine):
                for order in self._over:
                    engine.end_episode(self.name_of(order))
        self._over.clear()

    def look_soon(self) -> None:
        """Look for a batch when what is ready to run has run: an episode may ask for several things at once."""
        asyncio.get_running_loop().call_soon(self._look)

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown()
        self._over.extend(self.rounds)
        self._tell_engines()

    def _look(self) -> None:
        if self.failed or self._running:
            return
        self._tell_engines()
        if not self._waiting:
            return
        lowest = min(self.rounds.values())
        members = {order for order, round_number in self.rounds.items() if round_number == lowest}
        waiting = {entry.order for entry in self._waiting if not self._elsewhere[entry.order]}
        if not members <= waiting:
            return
        batch = sorted((entry for entry in self._waiting if entry.order in members), key=lambda entry: entry.order)
        self._waiting = [entry for entry in self._waiting if entry.order not in members]
        if not any(self._elsewhere.values()):
            self._answer(batch, self._generate(batch))
            return
        # In a thread, so that what is under way elsewhere gets on meanwhile.
        self._running = True
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="engine")
        running = asyncio.get_running_loop().run_in_executor(self._thread, self._generate, batch)
        running.add_done_callback(lambda done: self._batch_is_done(batch, done))

    def _batch_is_done(
        self, batch: list[_Waiting], done: asyncio.Future[list[list[Generation]] | BaseException]
    ) -> None:
        self._running = False
        if not done.cancelled():
            self._answer(batch, done.result())
        self.look_soon()

    def _generate(self, batch: list[_Waiting]) -> list[list[Generation]] | BaseException:
        """The generations of each entry, or what the engine raised."""
        answers: dict[int, list[Generation]] = {}
        try:
            for role in sorted({entry.role for entry in batch}):
                members = [i for i, entry in enumerate(batch) if entry.role == role]
                requests = [request for i in members for request in batch[i].requests]
                generations = self.engines[role].generate_batch(requests)
                require_finite_logprobs(role, requests, generations)
                results = iter(generations)
                answers.update({i: [next(results) for _ in batch[i].requests] for i in members})
        except BaseException as error:  # raised again in the episodes that wait
            return error
        return [answers[i] for i in range(len(batch))]

    def _answer(self, batch: list[_Waiting], answers: list[list[Generation]] | BaseException) -> None:
        for i, entry in enumerate(batch):
            if entry.answer.done():  # cancelled
                continue
            if isinstance(answers, BaseException):
                entry.answer.set_exception(answers)
            else:
                entry.answer.set_result(answers[i])


@dataclass(frozen=True)
class EpisodeEngine:
    """The engines as one episode sees them: `RoleEngines`."""

    batching: Batching
    order: int
    name: str = ""

    async def generate(self, token_ids: Sequence[int], sampling: Sampling, seed: int) -> Generation:
        return (await self.generate_many([token_ids], sampling, [seed]))[0]

    async def generate_many(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int]
    ) -> list[Generation]:
        episode = self.batching.name_of(self.order) if sampling.may_continue else None
        requests = [Request(tuple(ids), sampling, seed, episode) for ids, seed in zip(prompts, seeds, strict=True)]
        return await self.batching.submit(self.order, self.name, requests) if requests else []

    async def elsewhere(self, call: Awaitable[Result]) -> Result:
        return await self.batching.elsewhere(self.order, call)

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
        batching = Batching({"": engine, **(others or {})}, rounds=dict.fromkeys(range(len(episodes)), 0))

        async def run_one(order: int, episode: Callable[[RoleEngines], Awaitable[Result]]) -> Result:
            try:
                result = await episode(EpisodeEngine(batching, order))
            except BaseException:
                batching.failed = True
                raise
            batching.end(order)
            return result

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(run_one(i, episode)) for i, episode in enumerate(episodes)]
        finally:
            batching.close()
        return [task.result() for task in tasks]

    try:
        return run_to_end(run_all())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
