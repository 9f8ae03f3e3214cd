"""Strategies on problems with known answers: accuracy against tokens, from as few calls as possible.

All strategies of a problem share their calls: draft 3 of a vote is draft 3 of every other strategy, and is drawn once.
Each strategy is charged with all completion tokens that it would have spent alone, those of the critic included; prompt
tokens are counted beside them. What a strategy is worth is its difference from a plain majority vote that may spend as
much: the smallest one, of 1, 2, 3, ... drafts, whose mean tokens are not fewer on the problems that both answered.
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
from reasonrl.stats import Interval, PairedDifference, holm, paired_difference, wilson
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
    prompt_tokens: int = 0
    """Of all calls."""
    critiques: int = 0
    unread: int = 0
    """Critiques without a judgement that could be read."""

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
    accuracy: Interval | None
    """None where no answer was judged."""
    actor_tokens: float
    critic_tokens: float
    """Completion tokens of a problem, mean."""
    unjudged: int
    """Problems without a verdict; the actor could not answer, or the verifier could not say."""
    uncritiqued: int = 0
    """Problems on which the critic could not answer: the best draft until then counts."""
    unfinished: int = 0
    """Problems on which the actor could not go on behind its first drafts, for the length of the prompt say: the best
    one counts.
    """
    prompt_tokens: float = 0.0
    """Of a problem, mean."""
    unread: float = 0.0
    """The share of the critiques that could not be read."""
    is_compared: bool = True
    """Whether it is compared with votes; False for the votes."""
    against: str = ""
    """The majority vote of as many tokens. Empty: no vote that was tried spends as much."""
    difference: PairedDifference | None = None
    p_value: float | None = None
    """Of the difference; Holm's, for all strategies of the table together."""

    def to_json(self) -> dict[str, Any]:
        difference = self.difference and self.difference.normal
        return {
            "strategy": self.name,
            "accuracy": self.accuracy._asdict() if self.accuracy else None,
            "actor_tokens": self.actor_tokens,
            "critic_tokens": self.critic_tokens,
            "prompt_tokens": self.prompt_tokens,
            "unjudged": self.unjudged,
            "uncritiqued": self.uncritiqued,
            "unfinished": self.unfinished,
            "unread_critiques": self.unread,
            "against": self.against or None,
            "difference": difference._asdict() if difference else None,
            "p_value": self.p_value,
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
    if not game.usage.is_complete and stopped_by not in ("critic_unavailable", "actor_unavailable"):
        raise ModelError("a server does not say how many tokens it wrote: nothing can be compared at equal tokens")
    spent = {name: role.completion_tokens for name, role in game.usage.roles.items()}
    best, critiques = game.best, game.asked_critiques
    return Played(
        problem.id,
        best.text,
        best.answer,
        None,
        stopped_by,
        spent.get("actor", 0),
        spent.get("critic", 0),
        game.usage.prompt_tokens,
        len(critiques),
        sum(critique.judgement is None for critique in critiques),
    )


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
    results = []
    for name, played in rows.items():
        judged = [p for p in played if p.correct is not None]
        answered = [p for p in played if not p.has_failed]
        against = "" if name in votes else next((vote for vote in votes if _spends_as_much(rows[vote], played)), "")
        results.append(
            StrategyResult(
                name,
                wilson(sum(p.correct is True for p in judged), len(judged)) if judged else None,
                _mean([p.actor_tokens for p in answered]),
                _mean([p.critic_tokens for p in answered]),
                unjudged=len(played) - len(judged),
                uncritiqued=sum(p.stopped_by == "critic_unavailable" for p in played),
                unfinished=sum(p.stopped_by == "actor_unavailable" for p in played),
                prompt_tokens=_mean([p.prompt_tokens for p in answered]),
                unread=sum(p.unread for p in played) / max(1, sum(p.critiques for p in played)),
                is_compared=name not in votes,
                against=against,
                difference=_difference(rows[against], played, seed) if against else None,
            )
        )
    differences = [(i, result.difference) for i, result in enumerate(results) if result.difference is not None]
    for (i, _), p_value in zip(differences, holm([one.p_value for _, one in differences]), strict=True):
        results[i] = replace(results[i], p_value=p_value)
    return results


def _spends_as_much(vote: Sequence[Played], played: Sequence[Played]) -> bool:
    """On the problems that both answered, of which there are some."""
    both = [(x.tokens, y.tokens) for x, y in zip(vote, played, strict=True) if not x.has_failed and not y.has_failed]
    return bool(both) and sum(x for x, _ in both) >= sum(y for _, y in both)


def _difference(a: Sequence[Played], b: Sequence[Played], seed: int) -> PairedDifference | None:
    """Over problems that were judged both times."""
    pairs = [
        (float(x.correct), float(y.correct))
        for x, y in zip(a, b, strict=True)
        if x.correct is not None and y.correct is not None
    ]
    return paired_difference([[x] for x, _ in pairs], [[y] for _, y in pairs], seed=seed) if pairs else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))
