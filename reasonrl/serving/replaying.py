"""Plays traces again without any model: the hidden calls are answered from the trace, and everything else is done anew
by the code that the server runs: the strategy, the reading of critiques and answers, the votes and the counts.

So a trace shows what a change of the code, of the strategy, of its options, of the format or of the threshold of
acceptance makes of the same calls. A call that is not in the trace ends its replay; it is never made up. A prompt that
the present code writes differently is counted: its reply answers the prompt of the trace.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from critics.formats import load_format
from critics.strategies import STRATEGIES, Strategy, load_strategy
from critics.strategies.base import StoppedBy
from critics.types import Critique, Judgement
from reasonrl.engines.base import Sampling
from reasonrl.engines.served import ServedFailure
from reasonrl.errors import UsageError
from reasonrl.serving.answers import VerifierReader
from reasonrl.serving.play import BudgetSpent, Cast, ModelPlay, play
from reasonrl.serving.service import problem_of
from reasonrl.serving.trace import (
    Outcome,
    Trace,
    TracedCall,
    TracedModel,
    critique_outcome,
    play_outcome,
    prompt_hash,
)
from reasonrl.serving.voices import Chat, Said
from reasonrl.words import nearest
from verifiers.loading import load_verifier
from verifiers.types import Message

INTERRUPTIONS = ("deadline", "shutdown", "critic_unavailable", "actor_unavailable")
"""Ends of plays after which a call is rightly missing."""
STRATEGY_OPTIONS = ("rounds", "samples", "critiques", "tries")


class MissingCall(Exception):
    """The replay needs what the trace does not hold. The message is one sentence."""


@dataclass(frozen=True)
class Settings:
    """What replaces the settings of a trace.

    Args:
        strategy: a name of `critics.strategies`.
        counts: options of it, and `critiques` of the traces of critiques.
        format: name and options. A format that is not built in is loaded only where it is named here.
        budget_tokens: of all calls together.
        accept_from: a critique with a score accepts from this score on; of several critiques of one solution the share
            that accepts must reach it.
    """

    strategy: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    format: Mapping[str, Any] | None = None
    budget_tokens: int | None = None
    accept_from: float | None = None

    @property
    def are_empty(self) -> bool:
        return self == Settings()


def settings_of(pairs: Mapping[str, Any]) -> Settings:
    """From key=value of a command line. Raises UsageError."""
    known = ("strategy", *STRATEGY_OPTIONS, "format", "budget_tokens", "accept_from")
    values: dict[str, Any] = {"counts": {}}
    form: dict[str, Any] = {}
    for key, value in pairs.items():
        if key.startswith("format.") and key != "format.name":
            form[key.removeprefix("format.")] = value
        elif key == "format":
            form["name"] = str(value)
        elif key in STRATEGY_OPTIONS or key == "budget_tokens":
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UsageError(f"{key}={value}: write a whole number from 1 on")
            (values if key == "budget_tokens" else values["counts"])[key] = value
        elif key == "accept_from":
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise UsageError(f"accept_from={value}: write a number from 0 to 1")
            values[key] = float(value)
        elif key == "strategy":
            values[key] = str(value).replace("-", "_")
            if values[key] not in STRATEGIES:
                raise UsageError(f"strategy={value}: write one of {', '.join(STRATEGIES)}")
        else:
            near = nearest(key, known)
            hint = f"did you mean '{near}'?" if near else f"write one of {', '.join(known)}, or format.OPTION"
            raise UsageError(f"{key}={value}: a trace has no setting '{key}'; {hint}")
    return Settings(format=form or None, **values)


@dataclass(frozen=True)
class Replayed:
    """One trace, as it would be played now."""

    outcome: Outcome | None
    """None: a call is missing."""
    missing: str | None = None
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    """By field of the outcome, what it was and what it is."""
    other_prompts: tuple[str, ...] = ()
    """Calls whose prompt the present code, or the present settings, would write differently."""
    other_seeds: tuple[str, ...] = ()
    """Calls that would now have another seed: the request could not be repeated."""

    @property
    def is_same(self) -> bool:
        return self.outcome is not None and not (self.changes or self.other_prompts or self.other_seeds)


class _NoVoice:
    """Stands for a model that nobody asks."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def say(self, chat: Chat, sampling: Sampling, seed: int) -> Said:
        raise AssertionError("a replay asks no model")

    def stream(self, chat: Chat, sampling: Sampling, seed: int) -> Any:
        raise AssertionError("a replay asks no model")

    async def close(self) -> None:
        return


@dataclass
class TracePlay(ModelPlay):
    """A play whose calls are answered from a trace.

    Args:
        replies: by role and name.
        interrupted_by: how the play of the trace ended, where a call may be missing because of that.
    """

    replies: Mapping[tuple[str, str], TracedCall] = field(default_factory=dict)
    interrupted_by: StoppedBy | None = None
    accept_from: float | None = None
    other_prompts: list[str] = field(default_factory=list)
    other_seeds: list[str] = field(default_factory=list)

    async def _ask(self, role: str, name: str, chat: Chat, sampling: Sampling, seed: int) -> Said:
        """Raises MissingCall; where the trace ends early, what ended it."""
        call = self.replies.get((role, name))
        if call is None:
            await asyncio.sleep(0)  # the calls beside it, which are in the trace, end first: they did then
            if self.interrupted_by == "critic_unavailable" and role == "critic":
                raise ServedFailure("the critic did not answer when the trace was written")
            if self.interrupted_by == "actor_unavailable" and role == "actor":
                raise ServedFailure("the actor did not answer when the trace was written")
            if self.interrupted_by in ("deadline", "shutdown"):
                raise TimeoutError
            raise MissingCall(f"the trace has no call {name} of the {role}, for which the strategy asks")
        self._check_limit(call, sampling)
        if prompt_hash(chat) != call.prompt_sha256:
            self.other_prompts.append(name)
        if seed != call.seed:
            self.other_seeds.append(name)
        return Said(call.text, call.finish_reason, call.prompt_tokens, call.completion_tokens)

    def _check_limit(self, call: TracedCall, sampling: Sampling) -> None:
        """A reply stands for every limit that would not have cut it off, or not elsewhere. Raises MissingCall."""
        limit, written = sampling.max_new_tokens, call.completion_tokens
        if call.finish_reason == "length" and limit != call.max_new_tokens:
            reason = f"the call {call.call} was cut off at {call.max_new_tokens} tokens; now it may have {limit}"
        elif written is not None and written > limit:
            reason = f"the call {call.call} has {written} tokens; now it would be cut off at {limit}"
        else:
            return
        raise MissingCall(f"{reason}, and what the model would then have written is not in the trace")

    def _read(self, text: str, steps: int | None) -> Critique:
        critique = super()._read(text, steps)
        if self.accept_from is None or critique.score is None or critique.judgement is None:
            return critique
        judgement = Judgement.CORRECT if critique.score >= self.accept_from else Judgement.INCORRECT
        return replace(critique, judgement=judgement)


async def replay_trace(trace: Trace, settings: Settings) -> Replayed:
    """Plays a trace again. Raises UsageError for settings that do not fit it."""
    game = _game(trace, settings)
    try:
        if trace.strategy is None:
            outcome = await _critiques(trace, settings, game)
        else:
            stopped_by = await play(_strategy(trace, settings), game)
            if stopped_by == "deadline":  # a replay has no clock: it ends where the trace ends
                stopped_by = game.interrupted_by or stopped_by
            outcome = play_outcome(game, stopped_by)
    except MissingCall as error:
        return Replayed(None, f"{error}.", {}, tuple(game.other_prompts), tuple(game.other_seeds))
    except BudgetSpent:
        return Replayed(None, f"budget_tokens {game.budget_tokens} does not allow the first drafts.")
    changes = _changes(trace.outcome, outcome)
    return Replayed(outcome, None, changes, tuple(game.other_prompts), tuple(game.other_seeds))


async def _critiques(trace: Trace, settings: Settings, game: TracePlay) -> Outcome:
    solution = trace.solution
    assert solution is not None
    if settings.strategy is not None or set(settings.counts) - {"critiques"} or settings.budget_tokens is not None:
        raise UsageError("this is the trace of critiques of one solution: it has critiques, format and accept_from")
    count = settings.counts.get("critiques", solution.critiques)
    interrupted_by = None
    try:
        critiques, _ = await game.critiques_of(solution.text, solution.steps, count)
    except TimeoutError:  # where the trace ends
        critiques, _ = game.ended_critiques()
        interrupted_by = game.interrupted_by
    return critique_outcome(game, critiques, accept_from=settings.accept_from, interrupted_by=interrupted_by)


def _game(trace: Trace, settings: Settings) -> TracePlay:
    has_other_strategy = bool(settings.strategy or settings.counts or settings.budget_tokens)
    stopped_by = trace.outcome.stopped_by
    return TracePlay(
        _cast(trace, settings),
        problem_of([_message(turn.role, turn.content) for turn in trace.problem]),
        trace.seed,
        settings.budget_tokens or trace.budget_tokens,
        replies={(call.role, call.call): call for call in trace.calls},
        interrupted_by=stopped_by if stopped_by in INTERRUPTIONS and not has_other_strategy else None,
        accept_from=settings.accept_from,
    )


def _cast(trace: Trace, settings: Settings) -> Cast:
    return Cast(
        actor=_voice(trace.actor),
        critic=_voice(trace.critic),
        format=_format(trace, settings),
        reader=_reader(trace.answers),
        actor_sampling=trace.actor.sampling(),
        critic_sampling=trace.critic.sampling(),
        steps=trace.steps,
    )


def _voice(model: TracedModel) -> _NoVoice:
    return _NoVoice(model.name)


_READERS: dict[str, VerifierReader] = {}


def _reader(options: Mapping[str, Any]) -> VerifierReader:
    """One for all traces with the same options: a verifier starts processes. Raises UsageError."""
    key = repr(sorted(options.items()))
    if key not in _READERS:
        try:
            _READERS[key] = VerifierReader(load_verifier("math", **options), options)
        except (ValueError, TypeError) as error:
            raise UsageError(f"the trace's answers: {error}") from error
    return _READERS[key]


def _format(trace: Trace, settings: Settings) -> Any:
    """That of the trace with the options of the command line, or another one."""
    wanted = dict(settings.format or {})
    same = "name" not in wanted or wanted["name"] == trace.format.get("name")
    facts = {**trace.format, **wanted} if same else wanted
    name = str(facts.pop("name", ""))
    if ":" in name and "name" not in wanted:
        raise UsageError(f"the critiques are in a format of a user's code; to run that code, write format={name}")
    try:
        return load_format(name, **facts)
    except (ValueError, TypeError) as error:
        raise UsageError(f"format: {error}") from error


def _strategy(trace: Trace, settings: Settings) -> Strategy:
    """Options of the same name are taken over from the trace's strategy to another one."""
    assert trace.strategy is not None
    name = settings.strategy or str(trace.strategy.get("name"))
    known = {option.name for option in dataclasses.fields(STRATEGIES[name])} if name in STRATEGIES else set()
    options = {key: value for key, value in trace.strategy.items() if key in known} | dict(settings.counts)
    try:
        return load_strategy(name, **options)
    except (ValueError, TypeError) as error:
        raise UsageError(f"strategy: {error}") from error


def _message(role: Any, content: str) -> Message:
    return {"role": role, "content": content}


def _changes(before: Outcome, after: Outcome) -> dict[str, tuple[Any, Any]]:
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    changes: dict[str, tuple[Any, Any]] = {}
    for key in old:
        if key in ("verdicts", "usage"):
            names = sorted({*old[key], *new[key]})
            parts = {name: (old[key].get(name), new[key].get(name)) for name in names}
            changes |= {f"{key}.{name}": pair for name, pair in parts.items() if pair[0] != pair[1]}
        elif old[key] != new[key]:
            changes[key] = (old[key], new[key])
    return changes
