"""Critics on labelled solutions, subset by subset: ProcessBench, BIG-Bench-Mistake, or a user's file.

Critiques are read strictly, and an unread critique counts as wrong; every row has false alarms beside error recall.
Step labels (`first_error`) give the figures of ProcessBench, answer labels (`correct`) those of a judge of whole
solutions; the two are different questions, and a critic that was trained on one is worse at the other by design.
"""

from __future__ import annotations

import functools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from critics.formats import CritiqueFormat
from critics.metrics import discrimination, process_bench
from critics.types import CriticEpisode, Critique
from critics.verifier import solution_of
from reasonrl.engines.base import BatchEngine, RoleEngines, derive_seed
from reasonrl.engines.batching import run_episodes
from reasonrl.environments.base import Trajectory
from reasonrl.environments.roles import ServedFailure, Speaker
from reasonrl.stats import Interval, harmonic_interval, wilson
from verifiers.types import Problem


@dataclass(frozen=True)
class Criticised:
    """One solution with the critiques of it."""

    problem: Problem
    critiques: list[Critique]
    texts: list[str]
    failure: str = ""
    """Why there are no critiques: the server did not answer."""


class _NoEngine:
    """For served critics: nothing is generated in this process."""

    def generate_batch(self, requests: Sequence[Any]) -> list[Any]:
        raise AssertionError("a served critic needs no engine")


def criticise(
    problems: Sequence[Problem], form: CritiqueFormat, critic: Speaker, engine: BatchEngine | None, *, n: int, seed: int
) -> list[Criticised]:
    """`n` critiques of each problem of kind "critique" (its prompt is that of the critic)."""

    async def one(problem: Problem, engines: RoleEngines) -> Criticised:
        steps = len(problem.reference.get("steps") or ()) or None
        chats = [problem.prompt] * n
        seeds = [derive_seed(seed, "critic eval", problem.id, i) for i in range(n)]
        try:
            written: list[Trajectory] = await critic.say(chats, seeds, engines)  # type: ignore[arg-type]
        except ServedFailure as failure:
            return Criticised(problem, [], [], str(failure))
        return Criticised(problem, [form.parse(t.text, steps) for t in written], [t.text for t in written])

    return run_episodes([functools.partial(one, problem) for problem in problems], engine or _NoEngine())


def voted_index(critiques: Sequence[Critique]) -> int | None:
    """The index that most critiques name, the first of these where several are level (maj@n of ProcessBench); None
    where none was read.
    """
    named = Counter(c.first_error for c in critiques if c.first_error is not None)
    return named.most_common(1)[0][0] if named else None


def figures_by_subset(
    criticised: Sequence[Criticised], *, seed: int = 0, subset_of: Callable[[Problem], str] | None = None
) -> dict[str, dict[str, Any]]:
    """Figures of each subset (`meta.suite`, else the source), each with its sample size and 95% interval.

    Of each solution the first critique counts, and where there are several, a majority vote over them as well ("vote").
    """
    subsets: dict[str, list[Criticised]] = defaultdict(list)
    for solution in criticised:
        subsets[(subset_of or _subset)(solution.problem)].append(solution)
    figures = {name: _figures(solutions, seed) for name, solutions in subsets.items()}
    f1s = [subset["f1"]["estimate"] for subset in figures.values() if "f1" in subset]
    if len(f1s) > 1:
        figures["mean of subsets"] = {"f1": {"estimate": sum(f1s) / len(f1s), "n": len(f1s)}}
    return figures


def _subset(problem: Problem) -> str:
    return str(problem.meta.get("suite") or problem.source or "all")


def _figures(rows: Sequence[Criticised], seed: int) -> dict[str, Any]:
    answered = [row for row in rows if row.critiques]
    figures: dict[str, Any] = {"solutions": len(rows), "not answered": len(rows) - len(answered)}
    if not answered:
        return figures
    first = [row.critiques[0] for row in answered]
    figures["parsed"] = _share(sum(c.parse_status == "ok" for c in first), len(first))
    solutions = [solution_of(row.problem.reference, row.problem.id) for row in answered]
    stepped = [i for i, solution in enumerate(solutions) if solution.first_error is not None]
    if stepped:
        labels = [int(solutions[i].first_error or 0) for i in stepped]
        figures |= _process(labels, [first[i].first_error for i in stepped], seed, "")
        if max(len(row.critiques) for row in answered) > 1:
            figures |= _process(labels, [voted_index(answered[i].critiques) for i in stepped], seed, " (vote)")
    judged = [i for i, solution in enumerate(solutions) if solution.correct is not None]
    if judged:
        counts = discrimination([CriticEpisode(answered[i].problem, solutions[i], first[i]) for i in judged])
        figures["answer accuracy"] = _share(counts.right, counts.critiques)
        if counts.correct:
            figures["answer false alarms"] = _share(counts.incorrect_flagged_of_correct, counts.correct)
        if counts.incorrect:
            figures["answer error recall"] = _share(counts.incorrect_right, counts.incorrect)
    return figures


def _process(labels: Sequence[int], named: Sequence[int | None], seed: int, suffix: str) -> dict[str, Any]:
    score = process_bench(named, labels)
    erroneous = [n == label for n, label in zip(named, labels, strict=True) if label != -1]
    sound = [n == label for n, label in zip(named, labels, strict=True) if label == -1]
    figures: dict[str, Any] = {}
    if erroneous:
        figures[f"error accuracy{suffix}"] = _share(sum(erroneous), len(erroneous))
    if sound:
        figures[f"correct accuracy{suffix}"] = _share(sum(sound), len(sound))
        alarms = sum(n is not None and n != -1 for n, label in zip(named, labels, strict=True) if label == -1)
        figures[f"false alarms{suffix}"] = _share(alarms, len(sound))
    if erroneous and sound:
        interval = harmonic_interval(erroneous, sound, seed=seed)
        assert math.isclose(interval.estimate, score.f1)
        figures[f"f1{suffix}"] = _interval(interval)
    return figures


def _share(count: int, total: int) -> dict[str, float]:
    return _interval(wilson(count, total))


def _interval(interval: Interval) -> dict[str, float]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high, "n": interval.n}


def sample_rows(criticised: Sequence[Criticised], *, greedy: bool) -> list[dict[str, Any]]:
    """What samples.jsonl keeps: every critique as it was written and as it was read."""
    return [
        {
            "kind": "eval",
            "step": 0,
            "set": _subset(solution.problem),
            "mode": "greedy" if greedy else "sampled",
            "problem_id": solution.problem.id,
            "rollout": i,
            "prompt": solution.problem.prompt,
            "response": text,
            "verdicts": {"critique": _verdict(solution.problem.reference, critique)},
            "judgement": critique.judgement and critique.judgement.value,
            "parse_status": critique.parse_status,
            "first_error": critique.first_error,
            "steps": [
                {**asdict(step), "judgement": step.judgement and step.judgement.value} for step in critique.steps
            ],
            "reference": {name: solution.problem.reference.get(name) for name in ("correct", "first_error")},
            **{name: value for name, value in solution.problem.meta.items() if name == "canary"},
        }
        for solution in criticised
        for i, (critique, text) in enumerate(zip(solution.critiques, solution.texts, strict=True))
    ]


def _verdict(reference: Mapping[str, Any], critique: Critique) -> dict[str, Any]:
    """Whether a critique is right: of the first wrong step where that is labelled, else of the answer."""
    label = reference.get("first_error")
    named: int | str | None = critique.first_error
    if label is None:
        label = {True: "correct", False: "incorrect"}.get(reference.get("correct"))  # type: ignore[arg-type]
        named = critique.judgement and critique.judgement.value
    status = "error" if label is None else "unparsed" if named is None else "judged"
    unread = "no step is named" if critique.judgement is not None else f"the judgement is {critique.parse_status}"
    return {
        "correct": None if label is None else named == label,
        "status": status,
        "extracted": None if named is None else str(named),
        "reason": unread if named is None else f"says {named}; the label is {label}",
    }
