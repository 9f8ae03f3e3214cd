"""Strategies on problems with known answers: accuracy against tokens, from as few calls as possible.

All strategies of a problem share their calls: draft 3 of a vote is draft 3 of every other strategy, and is drawn once.
Each strategy is charged with all tokens that it would have spent alone. What a strategy is worth is its difference from
a plain majority vote that may spend as much: the smallest one, of 1, 2, 3, ... drafts, whose mean tokens are not fewer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from critics.strategies.base import Strategy
from critics.strategies.majority import MajorityVote
from reasonrl.engines.base import Sampling, derive_seed
from reasonrl.engines.served import ServedFailure
from reasonrl.errors import ModelError
from reasonrl.serving.play import Cast, ModelPlay, first_error, play
from reasonrl.serving.voices import BadPrompt, Chat, Said, Voice
from reasonrl.stats import Interval, PairedDifference, paired_difference, wilson
from verifiers.types import Problem, Verifier


@dataclass
class _Remembering:
    """A voice that gives the same answer to the same question, once it has been paid for."""

    voice: Voice
    answers: dict[tuple[str, int, int], asyncio.Task[Said]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.voice.name

    async def say(self, chat: Chat, sampling: Sampling, seed: int) -> Said:
        key = (repr(list(chat)), sampling.max_new_tokens, seed)
        if key not in self.answers:
            self.answers[key] = asyncio.create_task(self.voice.say(chat, sampling, seed))
        return await asyncio.shield(self.answers[key])  # who leaves does not take it from the others

    def stream(self, chat: Chat, sampling: Sampling, seed: int) -> Any:
        raise AssertionError("hidden calls are not streamed")

    async def close(self) -> None:
        return


@dataclass(frozen=True, slots=True)
class Played:
    """One problem by one strategy."""

    problem_id: str
    text: str
    answer: str | None
    correct: bool | None
    stopped_by: str
    """`failed`: the actor could not answer."""
    actor_tokens: int
    critic_tokens: int

    @property
    def has_failed(self) -> bool:
        return self.stopped_by == "failed"

    @property
    def tokens(self) -> int:
        return self.actor_tokens + self.critic_tokens


@dataclass(frozen=True)
class StrategyResult:
    """One strategy on all problems."""

    name: str
    accuracy: Interval
    actor_tokens: float
    critic_tokens: float
    """Completion tokens of a problem, mean."""
    unjudged: int
    """Problems without a verdict; the actor could not answer, or the verifier could not say."""
    uncritiqued: int = 0
    """Problems on which the critic could not answer: the best draft until then counts."""
    is_compared: bool = True
    """Whether it is compared with votes; False for the votes."""
    against: str = ""
    """The majority vote of as many tokens. Empty: no vote that was tried spends as much."""
    difference: PairedDifference | None = None

    def to_json(self) -> dict[str, Any]:
        difference = self.difference and self.difference.normal
        return {
            "strategy": self.name,
            "accuracy": self.accuracy._asdict(),
            "actor_tokens": self.actor_tokens,
            "critic_tokens": self.critic_tokens,
            "unjudged": self.unjudged,
            "uncritiqued": self.uncritiqued,
            "against": self.against or None,
            "difference": difference._asdict() if difference else None,
            "p_value": self.difference.p_value if self.difference else None,
        }


async def play_all(
    cast: Cast,
    problems: Sequence[Problem],
    strategies: Mapping[str, Strategy],
    verifier: Verifier,
    *,
    seed: int,
    at_once: int = 32,
    tell: Callable[[int], None] = lambda done: None,
) -> dict[str, list[Played]]:
    """Every strategy on every problem, `at_once` problems at a time. A problem that the actor cannot answer has no
    verdict. Raises ModelError where that is so of all problems, and where a server does not count tokens; else as
    `play`.
    """
    places = asyncio.Semaphore(at_once)
    done = 0
    failures: list[str] = []

    async def one(problem: Problem) -> list[Played]:
        nonlocal done
        async with places:
            shared = replace(cast, actor=_Remembering(cast.actor), critic=_Remembering(cast.critic))
            several = []
            for strategy in strategies.values():
                game = ModelPlay(shared, problem, derive_seed(seed, "strategies", problem.id))
                try:
                    several.append(_played(problem, game, await play(strategy, game)))
                except (BadPrompt, ServedFailure) as error:
                    failures.append(str(error))
                    several.append(Played(problem.id, "", None, None, "failed", 0, 0))
            done += 1
            tell(done)
        return several

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(problem)) for problem in problems]
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None
    rows = {name: [task.result()[i] for task in tasks] for i, name in enumerate(strategies)}
    if failures and all(p.has_failed for played in rows.values() for p in played):
        raise ModelError(f"the actor answered no problem: {failures[0]}")
    for played in rows.values():
        answered = [i for i, p in enumerate(played) if not p.has_failed]
        texts, references = [played[i].text for i in answered], [problems[i].reference for i in answered]
        verdicts = await asyncio.to_thread(verifier.verify, texts, references)
        for i, verdict in zip(answered, verdicts, strict=True):
            played[i] = replace(played[i], correct=verdict.correct)
    return rows


def _played(problem: Problem, game: ModelPlay, stopped_by: str) -> Played:
    assert game.best is not None
    if not game.usage.is_complete and stopped_by != "critic_unavailable":
        raise ModelError("a server does not say how many tokens it wrote: nothing can be compared at equal tokens")
    spent = {name: role.completion_tokens for name, role in game.usage.roles.items()}
    best = game.best
    return Played(problem.id, best.text, best.answer, None, stopped_by, spent.get("actor", 0), spent.get("critic", 0))


def votes_up_to(samples: int) -> dict[str, Strategy]:
    """Plain votes of every size: one draft is no vote, and is their beginning."""
    return {
        f"majority of {size}" if size > 1 else "one draft": MajorityVote(samples=size) for size in range(1, samples + 1)
    }


def results_of(rows: Mapping[str, Sequence[Played]], votes: Sequence[str], *, seed: int = 0) -> list[StrategyResult]:
    """Figures of each strategy.

    Args:
        votes: the names in `rows` of the plain votes, by size.
    """
    vote_tokens = {name: _mean([played.tokens for played in rows[name] if not played.has_failed]) for name in votes}
    results = []
    for name, played in rows.items():
        judged = [p for p in played if p.correct is not None]
        accuracy = wilson(sum(p.correct is True for p in judged), len(judged))
        answered = [p for p in played if not p.has_failed]
        actor, critic = _mean([p.actor_tokens for p in answered]), _mean([p.critic_tokens for p in answered])
        against = "" if name in votes else next((vote for vote in votes if vote_tokens[vote] >= actor + critic), "")
        difference = _difference(rows[against], played, seed) if against else None
        unjudged = len(played) - len(judged)
        uncritiqued = sum(p.stopped_by == "critic_unavailable" for p in played)
        is_compared = name not in votes
        results.append(
            StrategyResult(name, accuracy, actor, critic, unjudged, uncritiqued, is_compared, against, difference)
        )
    return results


def _difference(a: Sequence[Played], b: Sequence[Played], seed: int) -> PairedDifference | None:
    """Over problems that were judged both times."""
    pairs = [
        (float(x.correct), float(y.correct))
        for x, y in zip(a, b, strict=True)
        if x.correct is not None and y.correct is not None
    ]
    return paired_difference([[x] for x, _ in pairs], [[y] for _, y in pairs], seed=seed) if pairs else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
