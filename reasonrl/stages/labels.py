"""Labels for steps by completion: a policy continues every prefix of a solution several times (`critics.labels`)."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from critics.formats.base import question_of
from critics.labels import first_error
from critics.types import Solution
from reasonrl.engines.base import BatchEngine, Request, RoleEngines, Sampling, derive_seed, response_text
from reasonrl.engines.batching import run_episodes
from reasonrl.environments.roles import ServedFailure, Speaker
from reasonrl.environments.single_turn import encode_prompt
from reasonrl.models.loading import LanguageModel
from reasonrl.models.special_tokens import without_opened_thought
from verifiers.types import Message, Problem, Verifier


class Prefix(NamedTuple):
    """A problem and the beginning of a solution."""

    problem: Problem
    text: str


class Attempt(NamedTuple):
    """A problem and a solution of it."""

    problem: Problem
    solution: Solution


Complete = Callable[[Sequence[tuple[Prefix, int]]], list[str | ServedFailure]]
"""From (prefix, seed) pairs to what follows each prefix, or why there is no answer."""


@dataclass(frozen=True)
class StepLabels:
    first_errors: list[int | None]
    """Of each solution: the index of its first wrong step, -1 without one, None where that is not known."""
    counts: Counter[str] = field(default_factory=Counter)
    """The number of failures by reason, in words."""


def complete_by_policy(policy: LanguageModel, engine: BatchEngine, sampling: Sampling) -> Complete:
    """The policy that wrote the solutions continues them; its problems need not be conversations."""

    def complete(rows: Sequence[tuple[Prefix, int]]) -> list[str | ServedFailure]:
        requests = []
        for (problem, text), seed in rows:
            prompt = encode_prompt(policy.tokenizer, problem)
            text = without_opened_thought(policy.tokenizer, prompt, text)
            prefix = policy.tokenizer(text, add_special_tokens=False)["input_ids"]
            requests.append(Request((*prompt, *prefix), sampling, seed))
        generations = engine.generate_batch(requests)
        return [
            response_text(policy.tokenizer, generation, sampling, request.token_ids)
            for generation, request in zip(generations, requests, strict=True)
        ]

    return complete


def complete_by_speaker(speaker: Speaker, engine: BatchEngine, engines: Mapping[str, BatchEngine]) -> Complete:
    """Another model continues, in this process or on a server. `engine` is the policy's, `engines` are those of the
    roles."""

    async def complete_one(prefix: Prefix, seed: int, episode_engines: RoleEngines) -> str | ServedFailure:
        chat: list[Message] = [{"role": "user", "content": question_of(prefix.problem)}]
        if prefix.text:
            chat.append({"role": "assistant", "content": prefix.text})
        try:
            (answer,) = await speaker.say([chat], [seed], episode_engines)
        except ServedFailure as failure:
            return failure
        return answer.text

    def complete(rows: Sequence[tuple[Prefix, int]]) -> list[str | ServedFailure]:
        episodes = [functools.partial(complete_one, prefix, seed) for prefix, seed in rows]
        return run_episodes(episodes, engine, engines) if episodes else []

    return complete


class MonteCarloLabeller:
    """Labels steps by the success rates of completions; `verifier` judges their answers."""

    def __init__(self, complete: Complete, verifier: Verifier, *, completions_per_step: int) -> None:
        self._complete, self._verifier, self._completions = complete, verifier, completions_per_step

    def label(self, attempts: Sequence[Attempt], seed: tuple[Any, ...]) -> StepLabels:
        """Prefixes that several solutions share are continued once.

        A step has no label where no completion of a prefix could be judged.
        """
        prefixes: dict[tuple[str, str], Prefix] = {}
        for problem, solution in attempts:
            for text in ("", *step_prefixes(solution)):
                prefixes.setdefault((problem.id, text), Prefix(problem, text))
        rates, counts = self._success_rates(list(prefixes.values()), seed)
        rate_of = dict(zip(prefixes, rates, strict=True))
        first_errors: list[int | None] = []
        for problem, solution in attempts:
            step_rates = [rate_of[problem.id, text] for text in step_prefixes(solution)]
            known_rates = [rate for rate in step_rates if rate is not None]
            if len(known_rates) < len(step_rates) or solution.correct is None:
                first_errors.append(None)
            else:
                first_errors.append(first_error(known_rates, solution.correct, start=rate_of[problem.id, ""]))
        return StepLabels(first_errors, counts)

    def _success_rates(
        self, prefixes: Sequence[Prefix], seed: tuple[Any, ...]
    ) -> tuple[list[float | None], Counter[str]]:
        """Of each prefix, the share of judged completions whose answer is right, None where none could be judged; and
        how many completions did not come, with the first reason.
        """
        rows = [
            (prefix, derive_seed(*seed, prefix.problem.id, prefix.text, i))
            for prefix in prefixes
            for i in range(self._completions)
        ]
        completions = self._complete(rows)
        correct: list[bool | None] = [None] * len(rows)
        answered = [i for i, completion in enumerate(completions) if isinstance(completion, str)]
        verdicts = self._verifier.verify(
            [f"{rows[i][0].text}{completions[i]}" for i in answered], [rows[i][0].problem.reference for i in answered]
        )
        for i, verdict in zip(answered, verdicts, strict=True):
            correct[i] = verdict.correct
        counts: Counter[str] = Counter()
        failures = [completion for completion in completions if isinstance(completion, ServedFailure)]
        if failures:
            counts[f"completions not answered (first: {failures[0]})"] = len(failures)
        starts = range(0, len(correct), self._completions)
        return [_mean_of_known(correct[start : start + self._completions]) for start in starts], counts


def _mean_of_known(values: Sequence[bool | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def step_prefixes(solution: Solution) -> list[str]:
    """The text up to the end of each step, with the separator that was written after it. The last is the whole
    solution.
    """
    prefixes, end = [], 0
    for step in solution.steps:
        end = solution.text.index(step, end) + len(step)
        separator_end = len(solution.text) - len(solution.text[end:].lstrip())
        prefixes.append(solution.text[:separator_end])
    return prefixes
