"""Steps 3 and 4 of an update, and all of an evaluation: play the episodes, then turn them into verdicts and rewards."""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from reasonrl.engines.base import BatchEngine, RoleEngines, derive_seed
from reasonrl.engines.batching import run_episodes
from reasonrl.environments.base import Environment, Episode
from reasonrl.user_code.daemon_threads import DaemonThreads
from verifiers.types import Problem


def roll_out(
    environment: Environment,
    engine: BatchEngine,
    problems: Sequence[Problem],
    counts: Sequence[int],
    *,
    seed: tuple[Any, ...],
    others: Mapping[str, BatchEngine] | None = None,
    on_end: Callable[[Episode], None] | None = None,
) -> list[Episode]:
    """`counts[i]` episodes of `problems[i]`, all in one batch, in order. The noise of each is a function of (seed,
    problem id, rollout).

    Args:
        others: the engines of the roles that are not trained.
        on_end: called with each episode as it ends, while others still play.

    A problem that is listed twice (a step that spans two passes over the data) continues counting its rollouts, or both
    would be the same.
    """
    attempts: list[tuple[Problem, int]] = []
    next_rollout: Counter[str] = Counter()
    for problem, count in zip(problems, counts, strict=True):
        for _ in range(count):
            attempts.append((problem, next_rollout[problem.id]))
            next_rollout[problem.id] += 1
    return play_together([(environment, attempts, seed)], engine, others=others, on_end=on_end)[0]


def play_together(
    parts: Sequence[tuple[Environment, Sequence[tuple[Problem, int]], tuple[Any, ...]]],
    engine: BatchEngine,
    *,
    others: Mapping[str, BatchEngine] | None = None,
    on_end: Callable[[Episode], None] | None = None,
) -> list[list[Episode]]:
    """The episodes of several environments, each with its attempts (a problem and the number of the rollout) and its
    seed, all in one batch: the engine may compute what their prompts have in common once.
    """
    plays: list[Callable[[RoleEngines], Awaitable[Episode]]] = []
    for environment, attempts, seed in parts:
        for problem, rollout in attempts:
            noise = derive_seed(*seed, problem.id, rollout)
            plays.append(functools.partial(_play, environment, problem, rollout, noise, on_end, not plays))
    episodes = iter(run_episodes(plays, engine, others) if plays else [])
    return [list(itertools.islice(episodes, len(attempts))) for _, attempts, _ in parts]


async def _play(
    environment: Environment,
    problem: Problem,
    rollout: int,
    seed: int,
    on_end: Callable[[Episode], None] | None,
    first: bool,
    engine: RoleEngines,
) -> Episode:
    if first:  # a call that hangs in a thread of the loop must not keep Ctrl-C from ending it
        asyncio.get_running_loop().set_default_executor(DaemonThreads())
    episode = await environment.episode(problem, rollout, seed, engine)
    if on_end is not None:
        on_end(episode)
    return episode
