"""Labels for steps by completion: a policy goes on from every prefix of a solution several times (see
`critics.labels`).
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from critics.formats.base import question_of
from critics.labels import first_error
from critics.types import Solution
from reasonrl.engines.base import BatchEngine, Request, RoleEngines, Sampling, derive_seed, response_text, run_episodes
from reasonrl.environments.roles import ServedFailure, Speaker
from reasonrl.environments.single_turn import encode_prompt
from reasonrl.models.loading import LanguageModel
from verifiers.types import Message, Problem, Verifier

Begun = tuple[Problem, str]
"""A problem and the beginning of a solution."""
Complete = Callable[[Sequence[tuple[Begun, int]]], list[str | ServedFailure]]
"""What follows each beginning, from its seed, or why nobody answered."""


def by_policy(model: LanguageModel, engine: BatchEngine, sampling: Sampling) -> Complete:
    """The policy that wrote the solutions goes on with them; its problems need not be conversations."""

    def complete(rows: Sequence[tuple[Begun, int]]) -> list[str | ServedFailure]:
        requests = []
        for (problem, prefix), seed in rows:
            ids = encode_prompt(model.tokenizer, problem) + list(
                model.tokenizer(prefix, add_special_tokens=False)["input_ids"]
            )
            requests.append(Request(tuple(ids), sampling, seed))
        return [response_text(model.tokenizer, one, sampling) for one in engine.generate_batch(requests)]

    return complete


def by_speaker(speaker: Speaker, engine: BatchEngine, others: Mapping[str, BatchEngine]) -> Complete:
    """Another model goes on, here or behind a server."""

    async def play(begun: Begun, seed: int, engines: RoleEngines) -> str | ServedFailure:
        problem, prefix = begun
        chat: list[Message] = [{"role": "user", "content": question_of(problem)}]
        if prefix:
            chat.append({"role": "assistant", "content": prefix})
        try:
            (said,) = await speaker.say([chat], [seed], engines)
        except ServedFailure as failure:
            return failure
        return said.text

    def complete(rows: Sequence[tuple[Begun, int]]) -> list[str | ServedFailure]:
        return (
            run_episodes([functools.partial(play, begun, seed) for begun, seed in rows], engine, others) if rows else []
        )

    return complete


def success_rates(
    prefixes: Sequence[Begun],
    complete: Complete,
    verifier: Verifier,
    counts: Counter[str],
    *,
    seed: tuple[Any, ...],
    count: int,
) -> list[float | None]:
    """Share of `count` completions of each (problem, begun solution) whose answer is right; None where none could be
    judged.

    `counts` says how many completions did not come, and why.
    """
    rows = [(begun, derive_seed(*seed, begun[0].id, begun[1], i)) for begun in prefixes for i in range(count)]
    made = complete(rows)
    answered = [
        (begun[1] + said, begun[0].reference)
        for (begun, _), said in zip(rows, made, strict=True)
        if isinstance(said, str)
    ]
    if failures := [said for said in made if isinstance(said, ServedFailure)]:
        counts[f"completions not answered (first: {failures[0]})"] += len(failures)
    judged = iter(verifier.verify([text for text, _ in answered], [reference for _, reference in answered]))
    correct = [next(judged).correct if isinstance(said, str) else None for said in made]
    rates: list[float | None] = []
    for start in range(0, len(correct), count):
        known = [value for value in correct[start : start + count] if value is not None]
        rates.append(sum(known) / len(known) if known else None)
    return rates


def monte_carlo_labels(
    found: Sequence[tuple[Problem, Solution]],
    complete: Complete,
    verifier: Verifier,
    counts: Counter[str],
    *,
    seed: tuple[Any, ...],
    count: int,
) -> list[int | None]:
    """The index of the first wrong step of each solution; None where the completions do not tell.

    Beginnings that several solutions share are gone on with once.
    """
    prefixes: list[Begun] = []
    for problem, solution in found:
        prefixes.append((problem, ""))
        prefixes += [(problem, prefix) for prefix in _prefixes(solution)]
    distinct = list({(problem.id, prefix): (problem, prefix) for problem, prefix in prefixes}.values())
    made = success_rates(distinct, complete, verifier, counts, seed=seed, count=count)
    known = {(problem.id, prefix): rate for (problem, prefix), rate in zip(distinct, made, strict=True)}
    labels: list[int | None] = []
    for problem, solution in found:
        rates = [known[problem.id, prefix] for prefix in _prefixes(solution)]
        if any(rate is None for rate in rates) or solution.correct is None:
            labels.append(None)
        else:
            start = known[problem.id, ""]
            labels.append(first_error([rate for rate in rates if rate is not None], solution.correct, start=start))
    return labels


def _prefixes(solution: Solution) -> list[str]:
    """The text up to the end of each step, as it stood: the separators belong to what was written. The last is the
    whole solution.
    """
    ends, at = [], 0
    for step in solution.steps:
        at = solution.text.index(step, at) + len(step)
        ends.append(len(solution.text) - len(solution.text[at:].lstrip()))
    return [solution.text[:end] for end in ends]
