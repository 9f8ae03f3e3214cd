"""Episodes in which the policy calls tools: one trajectory, written token by token by turns.

    policy    a turn, at most `rollout.max_new_tokens`                      mask True
    tools     the results of its calls, at most `result_tokens` each        mask False
    policy    ...                                                           until it answers, or an end below

How an episode ends (`ToolEpisode.ended`):

    answered   a turn without a call: the verifier reads this turn, and nothing else
    void       a turn that says nothing, or lacks `answer_mark`             see `void`
    length     a turn was cut off: what it asks for may be half written, and is not executed
    turns      the last turn that is allowed asks for a call: nobody could read the result, so it is not executed
    budget     results that leave less than `min_tokens_left` of `rollout.max_response_tokens`: they are not shown
    malformed  a call that cannot be read, with `malformed: end`
    refused    a call that is not executed though it can be read, with `refused: end`
    broken     a tool failed that is not to blame on the policy: the episode is masked and counted

Only an episode that answered has a text to judge; the others are wrong, unless `void` says otherwise. A call of a later
turn never costs the tokens before it again where the engine keeps them (`reasonrl.engines.local`).

Sources: the loops of ToRL (arXiv:2503.23383), ReTool (2504.11536), Search-R1 (2503.09516); void turns from SimpleTIR
(2509.02479). What differs: nothing is tokenised twice, masks are those of whole trajectories, results are cut by tokens
and not by characters, surplus calls and malformed ones are answered, and faults of a tool never count as the policy's.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import warnings
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Any

from jsonschema import Draft202012Validator

from reasonrl.engines.base import RoleEngines, Sampling, derive_seed
from reasonrl.environments.base import CallRecord, Episode, ToolEpisode, Trajectory
from reasonrl.environments.conversation import Conversation, PolicyTurn
from reasonrl.environments.tools.base import CallStatus, Session, Tool, ToolCall, ToolResult, function_schema
from reasonrl.environments.tools.capping import capped
from reasonrl.environments.tools.formats import apart
from reasonrl.environments.tools.loading import check_whole, check_word, load_format, load_tools
from reasonrl.errors import RecipeError
from verifiers.types import Problem, Status, Verdict

SPEAKER = "tool"
"""The role of results in a transcript."""

_SERVER_SEEDS = 2**63
"""Servers take seeds of 63 bits. With such seeds both backends draw the same noise."""


class ToolUse:
    """The environment `tool_use`.

    Args:
        tools: each a name, a path to a function or class of the user's, or a mapping with one of these as `name` and
            options.
        format: line, fenced, tags, chat, or a mapping with one of these as `name` and options.
        max_turns: turns of the policy, the answer included.
        max_calls: calls of an episode that are executed; None: all.
        calls_per_turn: calls of a turn that are executed. The others are answered: the limit is reached.
        result_tokens: a longer result is cut in its middle.
        min_tokens_left: so much room must be left for a turn of the policy behind results.
        malformed: of calls that cannot be read: feedback (the policy reads why, and goes on) or end.
        refused: the same of calls of an unknown tool, with wrong arguments, or beyond the limits.
        void: keep (the verifier judges what there is), wrong (no reward), or mask (no token carries loss; the reward
            stays in the baseline of its group, as in SimpleTIR).
        answer_mark: a text that an answer holds, e.g. "\\boxed"; a turn with neither a call nor this is void.

    Raises RecipeError for options that make no sense, and ReasonRLError where a tool cannot work on this machine.
    """

    def __init__(
        self,
        tokenizer: Any,
        sampling: Sampling,
        *,
        tools: Sequence[Any],
        format: Any = "chat",
        max_turns: int = 8,
        max_calls: int | None = None,
        calls_per_turn: int = 4,
        result_tokens: int = 256,
        min_tokens_left: int = 8,
        malformed: str = "feedback",
        refused: str = "feedback",
        void: str = "keep",
        answer_mark: str = "",
    ) -> None:
        self._tokenizer = tokenizer
        self._tools = load_tools(tools)
        self._format = load_format(format, list(self._tools.values()), tokenizer)
        described = self._tools.values() if getattr(self._format, "describes_tools", False) else ()
        self._functions = [function_schema(tool) for tool in described]
        self._max_turns = check_whole("max_turns", max_turns, least=2)
        self._max_calls = None if max_calls is None else check_whole("max_calls", max_calls)
        self._calls_per_turn = check_whole("calls_per_turn", calls_per_turn)
        self._result_tokens = check_whole("result_tokens", result_tokens, least=4)
        self._min_tokens_left = check_whole("min_tokens_left", min_tokens_left)
        self._malformed = check_word("malformed", malformed, ("feedback", "end"))
        self._refused = check_word("refused", refused, ("feedback", "end"))
        self._void = check_word("void", void, ("keep", "wrong", "mask"))
        self._answer_mark = str(answer_mark)
        self._validators = {name: Draft202012Validator(tool.parameters) for name, tool in self._tools.items()}
        if sampling.response_limit < sampling.max_new_tokens + self._min_tokens_left + 1:
            raise RecipeError(
                f"rollout.max_response_tokens: {sampling.response_limit} leaves no room for a result behind a turn of"
                f" max_new_tokens ({sampling.max_new_tokens}) tokens; write the budget of all turns and results"
            )
        self._places: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Semaphore]] = {}
        """Of tools that take a number of calls at a time, in the loop that is running."""
        self._sampling = replace(sampling, stop=tuple(dict.fromkeys((*sampling.stop, *self._format.stop))))

    async def episode(self, problem: Problem, rollout: int, seed: int, engine: RoleEngines) -> Episode:
        """See the module."""
        conversation = Conversation(self._tokenizer, replace(problem, functions=self._functions), self._sampling)
        sessions: dict[str, Session] = {}
        calls: list[CallRecord] = []
        try:
            ended, failure = await self._play(conversation, sessions, calls, seed, engine)
        finally:
            await self._close_all(sessions, engine)
        trajectory = conversation.trajectory()
        verdicts = {}
        if ended != "answered" and not (ended == "void" and self._void == "keep"):
            trajectory = replace(trajectory, text="")
        if ended == "void" and self._void == "wrong":
            reason = "the last turn neither calls a tool nor answers"
            verdicts["correctness"] = Verdict(False, 0.0, Status.UNPARSED, None, "tool_use", reason, 0.0)
        if ended == "void" and self._void == "mask":
            trajectory = _without_loss(trajectory)
        record = ToolEpisode(ended, tuple(calls))
        return Episode(problem, rollout, seed, [trajectory], verdicts, failure=failure or None, tool_use=record)

    async def _play(
        self,
        conversation: Conversation,
        sessions: dict[str, Session],
        calls: list[CallRecord],
        seed: int,
        engine: RoleEngines,
    ) -> tuple[str, str]:
        """How the episode ended, and why a tool is broken, or nothing."""
        for number in range(self._max_turns):
            turn = await conversation.policy_turn(engine, derive_seed(seed, "turn", number) % _SERVER_SEEDS)
            if turn.finish_reason == "length":
                return "length", ""
            reading = self._format.read(turn.text)
            if not reading.calls and not reading.mistake:
                return "answered" if turn.written.strip() and self._answer_mark in turn.written else "void", ""
            if reading.mistake and self._malformed == "end":
                calls.append(CallRecord("", "malformed", number, reading.mistake, 0.0))
                return "malformed", ""
            if number + 1 == self._max_turns:
                return "turns", ""
            if reading.mistake:
                calls.append(CallRecord("", "malformed", number, reading.mistake, 0.0))
                texts = [f"error: {reading.mistake}"]
            else:
                results = await self._results(reading.calls, number, sessions, calls, seed, engine)
                if broken := next((result.text for result in results if result.status is CallStatus.BROKEN), None):
                    return "broken", broken
                if self._refused == "end" and any(call.was_refused for call in calls if call.turn == number):
                    return "refused", ""
                texts = [result.text for result in results]
            if not self._append(conversation, turn, texts):
                return "budget", ""
        raise AssertionError("the last turn ends the episode")

    async def _results(
        self,
        wanted: Sequence[ToolCall],
        turn: int,
        sessions: dict[str, Session],
        calls: list[CallRecord],
        seed: int,
        engine: RoleEngines,
    ) -> list[ToolResult]:
        """Of all calls of a turn, in their order. They are executed one after the other: those of a stateful tool
        depend on each other.
        """
        results = []
        for place, call in enumerate(wanted):
            executed = sum(record.was_executed for record in calls)
            if refusal := self._refusal(call, place, executed):
                status, result, seconds = refusal[0], ToolResult(f"error: {refusal[1]}", CallStatus.ERROR), 0.0
            else:
                result, seconds = await self._call(call, sessions, seed, engine)
                status = str(result.status)
            calls.append(CallRecord(call.name, status, turn, "", seconds))
            results.append(result)
            if result.status is CallStatus.BROKEN or (self._refused == "end" and calls[-1].was_refused):
                break
        return results

    def _refusal(self, call: ToolCall, place: int, executed: int) -> tuple[str, str] | None:
        """Why a call is not executed: its status, and words for the policy."""
        if place >= self._calls_per_turn or (self._max_calls is not None and executed >= self._max_calls):
            return "surplus", "the limit of calls is reached"
        if call.name not in self._tools:
            return "unknown_tool", f"there is no tool {call.name[:40]!r}; there are {', '.join(self._tools)}"
        wrong = next(iter(self._validators[call.name].iter_errors(call.arguments)), None)
        if wrong is not None:
            place_of = ".".join(map(str, wrong.absolute_path))
            return "wrong_arguments", f"{place_of + ': ' if place_of else ''}{wrong.message[:200]}"
        return None

    async def _call(
        self, call: ToolCall, sessions: dict[str, Session], seed: int, engine: RoleEngines
    ) -> tuple[ToolResult, float]:
        """With the seconds that it took, without those that it waited for its place."""
        tool = self._tools[call.name]
        answer = self._in_its_place(tool, sessions, call, derive_seed(seed, "tool", call.name))
        return await (answer if tool.is_instant else engine.elsewhere(answer))

    async def _in_its_place(
        self, tool: Tool, sessions: dict[str, Session], call: ToolCall, seed: int
    ) -> tuple[ToolResult, float]:
        async with self._place(tool):
            started = time.perf_counter()
            result = await _guarded(tool, sessions, call, seed)
            return result, time.perf_counter() - started

    def _place(self, tool: Tool) -> contextlib.AbstractAsyncContextManager[None]:
        at_once = getattr(tool, "at_once", None)
        if at_once is None:
            return contextlib.nullcontext()
        loop, semaphore = self._places.get(tool.name, (None, None))
        if semaphore is None or loop is not asyncio.get_running_loop():
            semaphore = asyncio.Semaphore(at_once)
            self._places[tool.name] = asyncio.get_running_loop(), semaphore
        return semaphore

    async def _close_all(self, sessions: dict[str, Session], engine: RoleEngines) -> None:
        """Beside the other episodes, which do not wait for it."""
        closing = {name: _close(self._tools[name], session) for name, session in sessions.items()}
        slow = [close for name, close in closing.items() if not self._tools[name].is_instant]
        for name, close in closing.items():
            if self._tools[name].is_instant:
                await close
        if slow:
            await engine.elsewhere(asyncio.gather(*slow))

    def _append(self, conversation: Conversation, turn: PolicyTurn, texts: Sequence[str]) -> bool:
        """Whether the results fit behind the turn."""
        shown = [capped(self._tokenizer, apart(text, self._format.closing), self._result_tokens) for text in texts]
        written = self._tokenizer.decode(turn.token_ids)
        results = self._format.results(shown, written)
        if isinstance(results, str):
            return conversation.add_text(results, role=SPEAKER, min_room=self._min_tokens_left)
        return conversation.add_messages(results, min_room=self._min_tokens_left)


async def _guarded(tool: Tool, sessions: dict[str, Session], call: ToolCall, seed: int) -> ToolResult:
    """The result of a call. What a tool raises, returns instead of a result, or never returns is broken."""
    try:
        if call.name not in sessions:
            sessions[call.name] = tool.session(seed)
        result = await _within(tool.deadline_s, sessions[call.name].call(call.arguments))
    except _Late:
        return ToolResult(f"{tool.name}: no answer within {tool.deadline_s:g} s", CallStatus.BROKEN)
    except Exception as error:  # a tool may be foreign code
        return ToolResult(f"{tool.name}: {type(error).__name__}: {error}"[:500], CallStatus.BROKEN)
    if not isinstance(result, ToolResult) or not isinstance(result.text, str):
        return ToolResult(f"{tool.name}: returned {type(result).__name__}, not a ToolResult", CallStatus.BROKEN)
    # Half of a pair of surrogates, as JSON can hold it, is no text that a tokenizer takes.
    return replace(result, text=result.text.encode("utf-8", "replace").decode("utf-8"))


class _Late(Exception):
    """The deadline came first."""


async def _within(seconds: float, work: Awaitable[Any]) -> Any:
    """What comes of it. Nobody waits for one that is late, even if it does not let itself be cancelled. Raises _Late,
    and RuntimeError in place of SystemExit, which would end the run.
    """

    async def run() -> Any:
        try:
            return await work
        except SystemExit as error:
            raise RuntimeError(f"it wants to end the process (SystemExit: {error})") from error

    task = asyncio.ensure_future(run())
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            raise _Late
        return task.result()
    finally:
        if not task.done():
            task.add_done_callback(lambda late: late.cancelled() or late.exception())  # nobody asks for it any more
            task.cancel()


async def _close(tool: Tool, session: Session) -> None:
    """A session that does not close changes nothing of its episode, which is over; it is warned of."""
    try:
        await _within(tool.deadline_s, session.close())
    except _Late:
        warnings.warn(f"a session of the tool {tool.name} did not close in {tool.deadline_s:g} s", stacklevel=2)
    except Exception as error:  # a tool may be foreign code
        warnings.warn(f"a session of the tool {tool.name} did not close: {type(error).__name__}: {error}", stacklevel=2)


def _without_loss(trajectory: Trajectory) -> Trajectory:
    count = len(trajectory.response_ids)
    return replace(trajectory, loss_mask=[False] * count, logprobs=[0.0] * count)
