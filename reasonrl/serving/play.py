"""One problem in play: the calls of a strategy, each with a seed of its own, counted, within a budget."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from critics.formats import CritiqueFormat
from critics.steps import Style, before_step, split_steps
from critics.strategies.base import CriticUnavailable, Draft, StoppedBy, Strategy
from critics.types import Critique, Judgement, Solution
from reasonrl.engines.base import Sampling, derive_seed
from reasonrl.engines.local.serving import OverloadedError
from reasonrl.engines.served import ServedFailure
from reasonrl.errors import ModelError
from reasonrl.serving.admission import draining
from reasonrl.serving.shutdown import Shutdown
from reasonrl.serving.usage import Usage
from reasonrl.serving.voices import BadPrompt, Chat, Said, Voice, reason_for_log
from verifiers.types import Message, Problem

_log = logging.getLogger(__name__)
_KINDS = {"draft": "draft", "from": "continuation"}
"""Of what the actor writes, by the last word but one of its name."""
BLANK = Critique("", Judgement.INCORRECT, feedback="There is no solution.")
"""Of a blank solution, which no critic is asked about."""


class BudgetSpent(Exception):
    """No token is left for the next call."""


class Reader(Protocol):
    """Reads final answers."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Of the math verifier that does it."""
        ...

    def read(self, texts: Sequence[str], known: Sequence[str]) -> list[str | None]:
        """The answer of each text: that of `known` (or of an earlier text) that equals it, if there is one."""
        ...


@dataclass(frozen=True)
class Cast:
    """Who plays: models, how they are sampled, and how critiques and answers are read."""

    actor: Voice
    critic: Voice
    format: CritiqueFormat
    reader: Reader
    actor_sampling: Sampling
    critic_sampling: Sampling
    steps: Style = "auto"


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was made, for the trace."""

    name: str
    role: str
    seed: int
    max_new_tokens: int
    chat: list[Message]
    reply: Said


@dataclass
class ModelPlay:
    """`critics.strategies.base.Play` with models.

    Args:
        budget_tokens: the most completion tokens of all calls together.
        tell: gets one line for a person at each step.
    """

    cast: Cast
    problem: Problem
    seed: int
    budget_tokens: int | None = None
    tell: Callable[[str], None] = field(default=lambda line: None)
    best: Draft | None = None
    usage: Usage = field(default_factory=Usage)
    calls: list[Call] = field(default_factory=list)
    judged: dict[str, list[Critique]] = field(default_factory=dict)
    """Critiques of each draft, by its name."""
    rounds: int = 0
    """How many times critiques were asked for, one after the other."""
    spent: int = 0
    """Completion tokens. What a server does not count is all that the call was allowed, so that a budget ends."""
    _drafts: dict[str, Draft] = field(default_factory=dict)
    _answers: list[str] = field(default_factory=list)
    _submitted: Solution | None = None
    """What `critiques_of` was asked about."""

    async def drafts(self, count: int, *, first: int = 0) -> list[Draft]:
        return await self._written([(f"draft/{number}", self.question()) for number in range(first, first + count)])

    def question(self) -> list[Message]:
        """What the actor is asked."""
        return _user(self.problem.prompt) if isinstance(self.problem.prompt, str) else list(self.problem.prompt)

    async def refinements(self, pairs: Sequence[tuple[Draft, Critique]]) -> list[Draft]:
        wanted = []
        as_chat = replace(self.problem, meta={})  # the actor is given the turns as they are, not as one question
        for draft, critique in pairs:
            solution = Solution(self.problem.id, draft.text)
            chat = self.cast.format.refine_messages(as_chat, solution, critique)
            wanted.append((f"{draft.name}/refine", chat))
        return await self._written(wanted)

    async def continuations(self, places: Sequence[tuple[Draft, int]]) -> list[Draft]:
        wanted: list[tuple[str, Chat]] = []
        beginnings = {}
        for draft, step in places:
            name = f"{draft.name}/from/{step}"
            steps = self.solution(draft.text).steps
            beginnings[name] = before_step(draft.text, steps, step) if draft.text.strip() and step < len(steps) else ""
            beginning: list[Message] = [{"role": "assistant", "content": beginnings[name]}] if beginnings[name] else []
            wanted.append((name, [*self.question(), *beginning]))
        return await self._written(wanted, beginnings)

    async def critiques(self, drafts: Sequence[Draft], count: int = 1) -> list[list[Critique]]:
        self.rounds += 1
        for draft in drafts:
            if not draft.text.strip():
                self.judged[draft.name] = [BLANK] * count
        written = [(draft, self.solution(draft.text)) for draft in drafts if draft.text.strip()]
        await self._judged(written, count)
        return [self.judged[draft.name][:count] for draft in drafts]

    async def _judged(self, solutions: Sequence[tuple[Draft, Solution]], count: int) -> list[list[Critique]]:
        """Asks for the critiques that are not there yet."""
        wanted: list[tuple[Draft, Solution, str, Chat]] = []
        is_greedy = self.cast.critic_sampling.temperature == 0
        form = self.cast.format.for_request(self.seed)
        for draft, solution in solutions:
            chat = form.render(self.problem, solution)
            for number in range(len(self.judged.get(draft.name, ())), 1 if is_greedy else count):
                wanted.append((draft, solution, f"{draft.name}/critique/{number}", chat))
        names = [(name, chat) for _, _, name, chat in wanted]
        line = _counted(len(names), "critique")
        try:
            replies = await self._call("critic", self.cast.critic_sampling, names, line)
        except (ServedFailure, BadPrompt, OverloadedError, ModelError) as error:
            raise CriticUnavailable(str(error)) from error
        for (draft, solution, _, _), answer in zip(wanted, replies, strict=True):
            self.judged.setdefault(draft.name, []).append(self._read(answer.text, len(solution.steps) or None))
        if is_greedy:  # all critiques of one solution are the same: one is asked for, and paid
            self.judged |= {draft.name: self.judged[draft.name][:1] * count for draft, _ in solutions}
        return [self.judged[draft.name][:count] for draft, _ in solutions]

    @property
    def asked_critiques(self) -> list[Critique]:
        """Those that the critic wrote, each once."""
        several = (one for critiques in self.judged.values() for one in critiques if one is not BLANK)
        return list({id(one): one for one in several}.values())

    def _read(self, text: str, steps: int | None) -> Critique:
        return self.cast.format.parse(text, steps)

    async def critiques_of(
        self, text: str, steps: Sequence[str] | None, count: int
    ) -> tuple[list[Critique], list[str]]:
        """Critiques of a solution that somebody else wrote, and the steps that they count. Raises CriticUnavailable."""
        if not text.strip() and not steps:
            return [BLANK] * count, []
        solution = Solution(
            self.problem.id, text or "\n".join(steps or ()), tuple(steps or split_steps(text, self.cast.steps))
        )
        self._submitted = solution
        draft = Draft("solution", solution.text, None, False, 0)
        (critiques,) = await self._judged([(draft, solution)], count)
        return critiques, list(solution.steps)

    def ended_critiques(self) -> tuple[list[Critique], list[str]]:
        """What `critiques_of` would have given, of the critiques that had ended when it was cancelled."""
        steps = list(self._submitted.steps) if self._submitted is not None else []
        critiques = [self._read(call.reply.text, len(steps) or None) for call in self.calls]
        if critiques:
            self.judged["solution"] = critiques
        return critiques, steps

    def solution(self, text: str) -> Solution:
        """A draft as the critic is shown it. Raises ValueError for a blank text."""
        return Solution(self.problem.id, text, split_steps(text, self.cast.steps))

    async def _written(
        self, wanted: Sequence[tuple[str, Chat]], beginnings: Mapping[str, str] | None = None
    ) -> list[Draft]:
        """`beginnings`: by name, what the reply continues."""
        new = [(name, chat) for name, chat in wanted if name not in self._drafts]
        line = _counted(len(new), _KINDS.get(new[0][0].split("/")[-2], "refinement")) if new else ""
        replies = await self._call("actor", self.cast.actor_sampling, new, line)
        texts = [(beginnings or {}).get(name, "") + one.text for (name, _), one in zip(new, replies, strict=True)]
        answers = await asyncio.to_thread(self.cast.reader.read, texts, self._answers)
        for (name, _), text, one, answer in zip(new, texts, replies, answers, strict=True):
            if answer is not None and answer not in self._answers:
                self._answers.append(answer)
            truncated = one.finish_reason == "length"
            self._drafts[name] = Draft(name, text, answer, truncated, one.completion_tokens or 0)
        return [self._drafts[name] for name, _ in wanted]

    def first_draft(self) -> Draft | None:
        """Of those that have ended, the one that was asked for first, before its answer is read: something to answer
        with, should the deadline come before the others have ended.
        """
        for call in self.calls:
            if call.role == "actor":
                truncated = call.reply.finish_reason == "length"
                return Draft(call.name, call.reply.text, None, truncated, call.reply.completion_tokens or 0)
        return None

    async def _call(self, role: str, sampling: Sampling, wanted: Sequence[tuple[str, Chat]], line: str) -> list[Said]:
        """All at once, so that the engine can batch them. Each is counted when it ends. A critic that cannot be given
        one of several solutions has written nothing of it, which cannot be read. Raises the first error.

        Args:
            line: what a person is told.
        """
        if not wanted:
            return []
        sampling = self._within_budget(sampling, len(wanted))
        self.tell(line)
        seeds = {name: derive_seed(self.seed, role, name) for name, _ in wanted}
        done: dict[str, Said] = {}
        refused: dict[str, BadPrompt] = {}

        async def one(name: str, chat: Chat) -> None:
            try:
                done[name] = reply = await self._ask(role, name, chat, sampling, seeds[name])
            except BadPrompt as error:
                if role != "critic":
                    raise
                refused[name] = error
                return
            self._count(role, reply, sampling)

        try:
            async with asyncio.TaskGroup() as group:
                for name, chat in wanted:
                    group.create_task(one(name, chat))
            if len(refused) == len(wanted):
                raise next(iter(refused.values()))
            for name in refused:
                done[name] = Said("", "length", 0, 0)
                self._count(role, done[name], sampling)
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None
        finally:
            self.usage.is_complete &= len(done) == len(wanted)
            self.calls += [
                Call(name, role, seeds[name], sampling.max_new_tokens, list(chat), done[name])
                for name, chat in wanted
                if name in done
            ]
        return [done[name] for name, _ in wanted]

    def _count(self, role: str, reply: Said, sampling: Sampling) -> None:
        self.usage.add(role, reply)
        self.spent += sampling.max_new_tokens if reply.completion_tokens is None else reply.completion_tokens

    async def _ask(self, role: str, name: str, chat: Chat, sampling: Sampling, seed: int) -> Said:
        """One hidden call. Raises as `Voice.say`."""
        voice = self.cast.actor if role == "actor" else self.cast.critic
        return await voice.say(chat, sampling, seed)

    def _within_budget(self, sampling: Sampling, calls: int) -> Sampling:
        if self.budget_tokens is None:
            return sampling
        share = (self.budget_tokens - self.spent) // calls
        if share < 1:
            raise BudgetSpent
        return replace(sampling, max_new_tokens=min(sampling.max_new_tokens, share))


async def play(
    strategy: Strategy, game: ModelPlay, *, deadline_s: float | None = None, shutdown: Shutdown | None = None
) -> StoppedBy:
    """Plays to the end, to the end of the budget, to the deadline, until the server ends, or until the actor or the
    critic cannot go on. `game.best` is the answer.

    Raises:
        TimeoutError: the deadline came before there was any draft.
        Full: the server ends, and there is no draft.
        BudgetSpent: the budget does not allow one draft.
        BadPrompt, OverloadedError, ModelError, ServedFailure: the actor cannot answer, and there is no draft.
    """
    shutdown = shutdown or Shutdown()
    try:
        async with shutdown.deadline(deadline_s) as deadline:
            return await strategy.play(game)
    except TimeoutError:
        is_over = shutdown.has_ended(deadline)
        game.best = game.best or game.first_draft()
        if game.best is None and is_over:
            raise draining() from None
        if game.best is None:
            raise
        return "shutdown" if is_over else "deadline"
    except BudgetSpent:
        if game.best is None:
            raise
        return "budget"
    except CriticUnavailable as error:
        _log.warning("the critic did not answer: %s", reason_for_log(error))
        return "critic_unavailable"
    except (BadPrompt, OverloadedError, ModelError, ServedFailure) as error:
        if game.best is None:
            raise
        _log.warning("the actor did not go on: %s", reason_for_log(error))
        return "actor_unavailable"


def first_error(errors: BaseExceptionGroup) -> BaseException:
    """Of a task group: the others were cancelled for it, or are like it."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _user(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]
