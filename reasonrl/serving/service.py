"""What the routes do, without HTTP: requests in, answers as plain data out."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from critics.strategies import STRATEGIES, load_strategy
from critics.strategies.base import StoppedBy, Strategy
from critics.types import Critique
from reasonrl.engines.base import Sampling, derive_seed
from reasonrl.errors import UsageError
from reasonrl.serving.admission import draining
from reasonrl.serving.play import Cast, ModelPlay, play
from reasonrl.serving.rewards import RewardOptions, boxed_text, review, split_chat
from reasonrl.serving.schemas import (
    ChatRequest,
    CritiqueRequest,
    RefineRequest,
    StrategyOptions,
    VerifyRequest,
)
from reasonrl.serving.shutdown import Shutdown
from reasonrl.serving.trace import TracedSolution, critique_trace, play_trace
from reasonrl.serving.usage import Usage
from reasonrl.serving.verdicts import critique_json, verdict_json
from reasonrl.serving.voices import LocalVoice, Said, Voice
from verifiers.types import Message, Problem, Verifier


class NotFound(Exception):
    """There is no such model."""


class BadRequest(Exception):
    """The message names the field and says what to write instead."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True)
class Answer:
    """One choice of a chat completion."""

    text: str
    finish_reason: str
    tokens: int
    """Completion tokens of the text itself."""
    usage: Usage
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Of a strategy: what rides along as `reasonrl`."""
    critiques: Sequence[Critique] = ()
    """Those that the critic was asked for."""


@dataclass(frozen=True)
class Target:
    """What a model's name stands for."""

    voice: Voice
    strategy: str | None = None
    is_boxed: bool = False
    """The critic, whose reply ends in its verdict in a box."""


class Service:
    """An actor and a critic, and what they can be asked.

    Args:
        verifiers: by kind; a kind that is not there is not served.
        rewards: what requests of trainers for a reward do not say themselves.
    """

    def __init__(self, cast: Cast, verifiers: Mapping[str, Verifier], rewards: RewardOptions | None = None) -> None:
        self.cast = cast
        self.rewards = rewards or RewardOptions()
        self.shutdown = Shutdown()
        self.started = int(time.time())
        self._verifiers = dict(verifiers)
        self._verifying = ThreadPoolExecutor(2, thread_name_prefix="verify")
        self.targets: dict[str, Target] = {voice.name: Target(voice) for voice in (cast.critic, cast.actor)}
        for name in STRATEGIES:
            if name != "single":
                self.targets[f"{name.replace('_', '-')}-{cast.actor.name}"] = Target(cast.actor, name)
        boxed_name = self.rewards.boxed_name or f"boxed-{cast.critic.name}"
        if boxed_name in self.targets:
            raise UsageError(f"--boxed-name: {boxed_name} is the name of another model; write another")
        self.targets[boxed_name] = Target(cast.critic, is_boxed=True)

    async def close(self) -> None:
        self._verifying.shutdown(wait=False, cancel_futures=True)
        for voice in {id(v): v for v in (self.cast.actor, self.cast.critic)}.values():
            await voice.close()

    @property
    def is_running(self) -> bool:
        """False where a model of its own will never answer again. One behind another server may come back."""
        voices = (self.cast.actor, self.cast.critic)
        return all(voice.is_running for voice in voices if isinstance(voice, LocalVoice))

    def models(self) -> list[dict[str, Any]]:
        """As `/v1/models` lists them."""
        rows = []
        for name, target in self.targets.items():
            row: dict[str, Any] = {"id": name, "object": "model", "created": self.started, "owned_by": "reasonrl"}
            if target.strategy is not None:
                row["reasonrl"] = {
                    "strategy": target.strategy,
                    "summary": STRATEGIES[target.strategy].summary,
                    "options": options_of(target.strategy),
                }
            rows.append(row)
        return rows

    # ---------------------------------------------------------------- chat

    def target(self, request: ChatRequest) -> Target:
        """Raises NotFound, BadRequest."""
        target = self.targets.get(request.model)
        if target is None:
            raise NotFound(f"there is no model '{request.model[:80]}'; see /v1/models")
        if request.reasonrl is not None and request.reasonrl.strategy is not None:
            if target.voice is not self.cast.actor:
                raise BadRequest("strategies are played by the actor; name it as the model", "reasonrl.strategy")
            return Target(target.voice, request.reasonrl.strategy.replace("-", "_"))
        return target

    def check(self, request: ChatRequest) -> Target:
        """What the request asks for. Raises NotFound, BadRequest."""
        target = self.target(request)
        if target.strategy is not None:
            _strategy(target.strategy, request.reasonrl or StrategyOptions(), "reasonrl")
            if request.messages[-1].role != "user":
                raise BadRequest("a strategy answers the user: the last message must be the user's", "messages")
            return target
        if request.reasonrl is not None and (ignored := request.reasonrl.of_strategies):
            raise BadRequest(
                f"'{request.model[:80]}' plays no strategy; name a model such as refine-{self.cast.actor.name}, or"
                " `reasonrl.strategy`",
                f"reasonrl.{ignored[0]}",
            )
        if target.is_boxed:
            self._solution_of(request)
        return target

    async def answer(self, request: ChatRequest, seed: int, tell: Any = None) -> Answer:
        """One choice. Raises what `Voice.say` and `play` raise, NotFound, BadRequest."""
        target = self.target(request)
        if target.is_boxed:
            return await self._boxed(request, seed)
        chat = [message.plain() for message in request.messages]
        if target.strategy is None:
            reply = await target.voice.say(chat, self._sampling(request, target.voice), seed)
            return self._plain_answer(target.voice, reply)
        options = (request.reasonrl or StrategyOptions()).shared_by(request.n)
        cast = replace(self.cast, actor_sampling=self._sampling(request, self.cast.actor))
        return await self._play(cast, target.strategy, options, problem_of(chat), seed, tell)

    async def stream(self, request: ChatRequest, seed: int) -> AsyncGenerator[str | Answer]:
        """The text of a plain model piece by piece, and last the whole answer. Raises as `answer`."""
        if self.target(request).is_boxed:
            answer = await self._boxed(request, seed)
            yield answer.text
            yield answer
            return
        voice = self.target(request).voice
        chat = [message.plain() for message in request.messages]
        async with contextlib.aclosing(voice.stream(chat, self._sampling(request, voice), seed)) as pieces:
            async for piece in pieces:
                yield piece if isinstance(piece, str) else self._plain_answer(voice, piece)

    def _plain_answer(self, voice: Voice, reply: Said) -> Answer:
        usage = Usage()
        usage.add(self._role(voice), reply)
        return Answer(reply.text, reply.finish_reason, reply.completion_tokens or 0, usage)

    def check_refine(self, request: RefineRequest) -> str:
        """The name of its strategy. Raises BadRequest."""
        name = request.strategy if request.options.strategy is None else request.options.strategy
        return _strategy(name, request.options, "strategy").name

    async def refine(self, request: RefineRequest, seed: int) -> Answer:
        """Raises as `answer`."""
        chat: list[Message] = [{"role": "user", "content": request.problem}]
        sampling = self._changed(self.cast.actor_sampling, request.temperature, request.max_tokens)
        cast = replace(self.cast, actor_sampling=sampling)
        name = self.check_refine(request)
        return await self._play(cast, name, request.options, problem_of(chat), seed, None)

    async def _play(
        self, cast: Cast, name: str, options: StrategyOptions, problem: Problem, seed: int, tell: Any
    ) -> Answer:
        strategy = _strategy(name, options, "reasonrl")
        game = ModelPlay(cast, problem, seed, options.budget_tokens, **({"tell": tell} if tell else {}))
        stopped_by = await play(strategy, game, deadline_s=options.deadline_s, shutdown=self.shutdown)
        best = game.best
        assert best is not None
        critiques = game.judged.get(best.name, [])
        facts: dict[str, Any] = {
            "strategy": strategy.name,
            "stopped_by": stopped_by,
            "seed": seed,
            "draft": best.name,
            "answer": best.answer,
            "drafts": sum(call.role == "actor" for call in game.calls),
            "rounds": game.rounds,
            "critique": critique_json(critiques[-1]) if critiques else None,
        }
        if options.trace:
            facts["trace"] = play_trace(game, strategy, stopped_by, deadline_s=options.deadline_s)
        reason = "length" if best.is_truncated else "stop"
        return Answer(best.text, reason, best.tokens, game.usage, facts, game.asked_critiques)

    # ---------------------------------------------------------------- critique and verify

    async def critique(self, request: CritiqueRequest, seed: int) -> tuple[dict[str, Any], list[Critique], Usage]:
        """The verdict as JSON, the critiques, and what they cost. At the deadline, and where the server ends, those
        critiques count that have ended. Raises as `answer`.
        """
        sampling = self._changed(self.cast.critic_sampling, request.temperature, request.max_tokens)
        if request.samples > 1 and sampling.temperature == 0:
            raise BadRequest("greedy critiques are all the same; write a temperature above 0", "samples")
        problem = problem_of([{"role": "user", "content": request.problem}])
        game = ModelPlay(replace(self.cast, critic_sampling=sampling), problem, seed)
        critiques, steps, stopped_by = await self._critiques(game, request)
        value = verdict_json(critiques) | {"stopped_by": stopped_by}
        value |= {"seed": seed, "steps": steps, "usage": game.usage.to_json(shown=game.usage.completion_tokens)}
        if request.trace:
            solution = TracedSolution(text=request.solution, steps=request.steps, critiques=request.samples)
            value["trace"] = critique_trace(game, solution, critiques, stopped_by, deadline_s=request.deadline_s)
        return value, critiques, game.usage

    async def _critiques(
        self, game: ModelPlay, request: CritiqueRequest
    ) -> tuple[list[Critique], list[str], StoppedBy]:
        try:
            async with self.shutdown.deadline(request.deadline_s) as deadline:
                critiques, steps = await game.critiques_of(request.solution, request.steps, request.samples)
            return critiques, steps, "completed"
        except TimeoutError:
            is_over = self.shutdown.has_ended(deadline)
            critiques, steps = game.ended_critiques()
            if not critiques and is_over:
                raise draining() from None
            if not critiques:
                raise
            return critiques, steps, "shutdown" if is_over else "deadline"

    # ---------------------------------------------------------------- a critic as a reward

    def _solution_of(self, request: ChatRequest) -> tuple[Problem, str]:
        """Raises BadRequest."""
        template = self.rewards.text_template
        chat = [message.plain() for message in request.messages]
        pair = split_chat(chat, [template] if template else [])
        if pair is None:
            raise BadRequest(
                "write the user's problem, and the solution as the last message, of the assistant; or start the server"
                " with --reward-template for a message that holds both",
                "messages",
            )
        return problem_of(pair[0]), pair[1]

    async def _boxed(self, request: ChatRequest, seed: int) -> Answer:
        cast = replace(self.cast, critic_sampling=self._sampling(request, self.cast.critic))
        outcome = await review(cast, *self._solution_of(request), seed, self.rewards.critiques)
        facts = {
            "abstained": outcome.verdict is None,
            "probability_correct": outcome.probability,
            "critiques": [critique_json(critique) for critique in outcome.critiques],
            "seed": seed,
        }
        tokens = outcome.usage.completion_tokens
        return Answer(boxed_text(outcome), "stop", tokens, outcome.usage, facts, outcome.critiques)

    async def verify(self, request: VerifyRequest) -> dict[str, Any]:
        """Raises BadRequest."""
        verifier = self._verifiers.get(request.kind)
        if verifier is None:
            raise BadRequest(
                f"this server does not verify {request.kind}; start it with --verify {request.kind}", "kind"
            )
        if request.kind == "math":
            if request.answer is None:
                raise BadRequest("kind math needs the `answer` to compare with", "answer")
            reference: dict[str, Any] = {"answer": request.answer}
        elif request.kind == "lean":
            if not request.statement:
                raise BadRequest("kind lean needs the `statement` to prove", "statement")
            reference = {"statement": request.statement, "header": request.header or ""}
        else:
            if not request.tests:
                raise BadRequest("kind code needs `tests`", "tests")
            given = {"tests": request.tests, "prompt": request.prompt, "entry_point": request.entry_point}
            reference = {name: value for name, value in given.items() if value is not None}
        # Who leaves does not stop a program that runs: its thread is free when the program has ended.
        verifying = asyncio.get_running_loop().run_in_executor(
            self._verifying, verifier.verify, [request.response], [reference]
        )
        (verdict,) = await verifying
        return {
            "correct": verdict.correct,
            "score": verdict.score,
            "status": verdict.status.value,
            "extracted": verdict.extracted,
            "method": verdict.method,
            "reason": verdict.reason,
        }

    # ---------------------------------------------------------------- how models are sampled

    def _role(self, voice: Voice) -> str:
        return "critic" if voice is self.cast.critic else "actor"

    def _sampling(self, request: ChatRequest, voice: Voice) -> Sampling:
        default = self.cast.critic_sampling if voice is self.cast.critic else self.cast.actor_sampling
        sampling = self._changed(default, request.temperature, request.limit)
        if request.top_p is not None:
            sampling = replace(sampling, top_p=request.top_p)
        return replace(sampling, stop=(*sampling.stop, *request.stops))

    def _changed(self, default: Sampling, temperature: float | None, limit: int | None) -> Sampling:
        if temperature is not None:
            default = replace(default, temperature=temperature if temperature >= LEAST_TEMPERATURE else 0.0)
        return default if limit is None else replace(default, max_new_tokens=limit)


LEAST_TEMPERATURE = 0.01
"""Below it sampling is greedy: a division by less overflows."""


def new_seed() -> int:
    """For a request that names none; the answer says it, so that the request can be repeated."""
    return secrets.randbits(48)


def options_of(strategy: str) -> dict[str, int]:
    """What a request may set, with its defaults."""
    options = dataclasses.fields(STRATEGIES[strategy])
    return {option.name: option.default for option in options if isinstance(option.default, int)}


def seeds_of(request: ChatRequest, seed: int) -> list[int]:
    """One for each choice."""
    return [derive_seed(seed, "choice", number) for number in range(request.n)]


def _strategy(name: str, options: StrategyOptions, param: str) -> Strategy:
    try:
        return load_strategy(name.replace("-", "_"), **options.counts())
    except ValueError as error:
        raise BadRequest(str(error), param) from error


def problem_of(chat: list[Message]) -> Problem:
    """The chat as a problem. What the critic is shown as its question is the user's message, or, of several turns, all
    of them in order.
    """
    spoken = [message for message in chat if message["role"] != "system"]
    if len(spoken) == 1:
        return Problem("request", chat, "math", {}, "request")
    question = "\n\n".join(f"{message['role']}: {message['content']}" for message in spoken)
    return Problem("request", chat, "math", {}, "request", {"question": question})
