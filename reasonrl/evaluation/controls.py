"""Refinements on what is no critique: what Acc@Refine is to be compared with (`critics.controls`)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from critics.controls import CONTROLS, control_feedback
from critics.formats import CritiqueFormat
from critics.types import Critique
from critics.verifier import solution_of
from reasonrl.engines.base import BatchEngine, RoleEngines, derive_seed, run_episodes
from reasonrl.environments.roles import ServedFailure, Speaker
from reasonrl.stats import clustered_mean
from verifiers.types import Problem, Verifier


def control_metrics(
    problems: Sequence[Problem], critiques: Sequence[str], *, form: CritiqueFormat, actor: Speaker, engine: BatchEngine,
    others: Mapping[str, BatchEngine], oracle: Verifier, key: str, seed: tuple[Any, ...],
) -> dict[str, float]:  # fmt: skip
    """Acc@Refine of one critique of each problem where the actor is given a control instead: key_refine_empty, ...,
    with intervals.

    A refinement that could not be had or judged leaves its problem out, as in Acc@Refine itself;
    key_refine_empty_failed is their share.
    """
    read = [
        form.parse(text, len(p.reference.get("steps") or ()) or None)
        for p, text in zip(problems, critiques, strict=True)
    ]
    said = [critique.judgement and critique.judgement.value for critique in read]
    metrics: dict[str, float] = {}
    for name in CONTROLS:
        if name == "shuffled" and len(problems) < 2:
            continue
        feedback = control_feedback(name, [critique.feedback for critique in read], said, seed=derive_seed(*seed, name))
        plays = [
            functools.partial(
                _again,
                problem,
                dataclasses.replace(critique, feedback=text),
                form,
                actor,
                derive_seed(*seed, name, problem.id),
            )
            for problem, critique, text in zip(problems, read, feedback, strict=True)
        ]
        texts = run_episodes(plays, engine, others)
        kept = [(problem, text) for problem, text in zip(problems, texts, strict=True) if text is not None]
        verdicts = oracle.verify([text for _, text in kept], [problem.reference for problem, _ in kept])
        judged = [[float(verdict.correct)] for verdict in verdicts if verdict.correct is not None]
        if len(judged) < len(problems):
            metrics[f"{key}_refine_{name}_failed"] = 1 - len(judged) / len(problems)
        if judged:
            interval = clustered_mean(judged)
            metrics |= {
                f"{key}_refine_{name}": interval.estimate,
                f"{key}_refine_{name}_low": interval.low,
                f"{key}_refine_{name}_high": interval.high,
            }
    return metrics


async def _again(
    problem: Problem, critique: Critique, form: CritiqueFormat, actor: Speaker, seed: int, engines: RoleEngines
) -> str | None:
    chat = form.refine_messages(problem, solution_of(problem.reference, problem.id), critique)
    try:
        return (await actor.say([chat], [seed], engines))[0].text
    except ServedFailure:
        return None
