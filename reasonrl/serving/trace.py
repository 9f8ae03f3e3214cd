"""A trace: all that a strategy, or the critiques of one solution, came from. `reasonrl replay` plays it again offline.

It holds the settings, every hidden call, and what came out. A prompt stands in it as its messages and as a hash, so a
trace whose messages were removed can still be played.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from critics.formats import FORMATS, CritiqueFormat
from critics.steps import Style
from critics.strategies.base import StoppedBy, Strategy, agreed_first_error
from critics.types import Critique, Judgement
from reasonrl.engines.base import Sampling
from reasonrl.serving.play import Call, ModelPlay
from reasonrl.serving.rewards import share as share_of
from reasonrl.serving.usage import RoleUsage
from reasonrl.serving.voices import Voice
from verifiers.types import Message

VERSION: Literal[1] = 1
Role = Literal["actor", "critic"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Turn(_Part):
    role: Literal["system", "user", "assistant"]
    content: str


class TracedCall(_Part):
    call: str = Field(description="What it was for: draft/0, draft/0/critique/1, draft/0/refine, draft/0/from/2.")
    role: Role
    seed: int
    max_new_tokens: int
    prompt_sha256: str
    messages: list[Turn] | None = None
    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int | None
    completion_tokens: int | None


class TracedModel(_Part):
    name: str
    temperature: float
    top_p: float
    max_new_tokens: int
    stop: list[str]

    @classmethod
    def of_voice(cls, voice: Voice, sampling: Sampling) -> TracedModel:
        return cls(
            name=voice.name,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_new_tokens=sampling.max_new_tokens,
            stop=list(sampling.stop),
        )

    def sampling(self) -> Sampling:
        return Sampling(self.max_new_tokens, self.temperature, top_p=self.top_p, stop=tuple(self.stop))


class TracedSolution(_Part):
    """Of a critique: what was judged."""

    text: str
    steps: list[str] | None = Field(description="As the request has them; null where the server split the text.")
    critiques: int


class RoleTokens(_Part):
    calls: int
    prompt_tokens: int
    completion_tokens: int


class Outcome(_Part):
    """What came out. Fields of strategies are null in the trace of a critique, and the other way round; so is
    `stopped_by` of critiques that were all written.
    """

    stopped_by: StoppedBy | None = None
    draft: str | None = None
    text: str | None = None
    answer: str | None = None
    judgement: Judgement | None = None
    share_correct: float | None = Field(
        default=None,
        description="Of the critiques that were read: the share that accepts, or the mean of their scores.",
    )
    first_error: int | None = None
    verdicts: dict[str, list[Judgement | None]] = Field(description="By draft, as its critiques were read.")
    usage: dict[str, RoleTokens]


class Trace(_Part):
    version: Literal[1]
    problem: list[Turn]
    strategy: dict[str, Any] | None = Field(description="Its name and its options. Null: critiques of one solution.")
    solution: TracedSolution | None = None
    format: dict[str, Any] = Field(description="Of critiques: its name, and the options that are not the default.")
    answers: dict[str, Any] = Field(description="Options of the math verifier that reads final answers.")
    steps: Style = Field(description="How solutions are split into steps.")
    seed: int
    budget_tokens: int | None
    deadline_s: float | None
    actor: TracedModel
    critic: TracedModel
    calls: list[TracedCall]
    outcome: Outcome


def prompt_hash(messages: Sequence[Message]) -> str:
    """Of roles and contents, whatever else a message holds."""
    turns = [[message["role"], message["content"]] for message in messages]
    return hashlib.sha256(json.dumps(turns).encode()).hexdigest()


def format_facts(form: CritiqueFormat) -> dict[str, Any]:
    """Name and options, for `critics.formats.load_format`. The name of a user's format is package.module:Class."""
    kind: type = form.__class__  # of a guarded format, that of the format itself
    is_built_in = FORMATS.get(form.name) is kind
    changed = {
        field.name: getattr(form, field.name)
        for field in dataclasses.fields(form)
        if getattr(form, field.name) != field.default
    }
    return {"name": form.name if is_built_in else f"{kind.__module__}:{kind.__qualname__}", **changed}


def play_trace(
    game: ModelPlay, strategy: Strategy, stopped_by: StoppedBy, *, deadline_s: float | None
) -> dict[str, Any]:
    """The trace of a strategy, as JSON."""
    facts = {"name": strategy.name, **dataclasses.asdict(strategy)}
    return _trace(game, strategy=facts, deadline_s=deadline_s, outcome=play_outcome(game, stopped_by))


def critique_trace(
    game: ModelPlay,
    solution: TracedSolution,
    critiques: Sequence[Critique],
    stopped_by: StoppedBy,
    *,
    deadline_s: float | None,
) -> dict[str, Any]:
    """The trace of the critiques of one solution, as JSON."""
    outcome = critique_outcome(game, critiques, interrupted_by=None if stopped_by == "completed" else stopped_by)
    return _trace(game, strategy=None, solution=solution, deadline_s=deadline_s, outcome=outcome)


def _trace(game: ModelPlay, **more: Any) -> dict[str, Any]:
    cast = game.cast
    trace = Trace(
        version=VERSION,
        problem=[Turn(role=turn["role"], content=turn["content"]) for turn in game.question()],  # type: ignore[arg-type]
        format=format_facts(cast.format),
        answers=dict(cast.reader.options),
        steps=cast.steps,
        seed=game.seed,
        budget_tokens=game.budget_tokens,
        actor=TracedModel.of_voice(cast.actor, cast.actor_sampling),
        critic=TracedModel.of_voice(cast.critic, cast.critic_sampling),
        calls=[call_facts(call) for call in game.calls],
        **more,
    )
    return trace.model_dump(mode="json")


def call_facts(call: Call) -> TracedCall:
    return TracedCall(
        call=call.name,
        role=call.role,  # type: ignore[arg-type]
        seed=call.seed,
        max_new_tokens=call.max_new_tokens,
        prompt_sha256=prompt_hash(call.chat),
        messages=[Turn(role=turn["role"], content=turn["content"]) for turn in call.chat],  # type: ignore[arg-type]
        text=call.reply.text,
        finish_reason=call.reply.finish_reason,
        prompt_tokens=call.reply.prompt_tokens,
        completion_tokens=call.reply.completion_tokens,
    )


def play_outcome(game: ModelPlay, stopped_by: StoppedBy) -> Outcome:
    """Of a play that has an answer."""
    assert game.best is not None
    critiques = game.judged.get(game.best.name, [])
    return Outcome(
        stopped_by=stopped_by,
        draft=game.best.name,
        text=game.best.text,
        answer=game.best.answer,
        judgement=critiques[-1].judgement if critiques else None,
        first_error=critiques[-1].first_error if critiques else None,
        **_counts(game),
    )


def critique_outcome(
    game: ModelPlay,
    critiques: Sequence[Critique],
    *,
    accept_from: float | None = None,
    interrupted_by: StoppedBy | None = None,
) -> Outcome:
    """The judgement is that of most of the critiques that were read; with `accept_from`, whether their share reaches
    it. None where none was read, or, without it, where they are level.
    """
    share = share_of(critiques)
    judgement = None
    if share is not None and accept_from is not None:
        judgement = Judgement.CORRECT if share >= accept_from else Judgement.INCORRECT
    else:
        votes = [critique.judgement for critique in critiques if critique.judgement is not None]
        votes_for = votes.count(Judgement.CORRECT)
        if 2 * votes_for != len(votes):
            judgement = Judgement.CORRECT if 2 * votes_for > len(votes) else Judgement.INCORRECT
    first_error = agreed_first_error(critiques, judgement)
    return Outcome(
        stopped_by=interrupted_by,
        judgement=judgement,
        share_correct=share,
        first_error=first_error,
        **_counts(game),
    )


def _counts(game: ModelPlay) -> dict[str, Any]:
    return {
        "verdicts": {name: [one.judgement for one in critiques] for name, critiques in sorted(game.judged.items())},
        "usage": {role: _tokens(usage) for role, usage in sorted(game.usage.roles.items())},
    }


def _tokens(usage: RoleUsage) -> RoleTokens:
    return RoleTokens(**usage.to_json())
