"""Refinements on controls in place of a critique, as baselines for Acc@Refine (`critics.controls`)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from critics.controls import CONTROLS, control_feedback
from critics.formats import CritiqueFormat
from critics.types import Critique
from critics.verifier import solution_of
from reasonrl.engines.base import BatchEngine, RoleEngines, derive_seed
from reasonrl.engines.batching import run_episodes
from reasonrl.environments.roles import ServedFailure, Speaker
from reasonrl.stats import clustered_mean
from verifiers.types import Problem, Verifier


@dataclass(frozen=True)
class Controls:
    """The refiner on the controls, and its settings."""

    format: CritiqueFormat
    actor: Speaker
    engine: BatchEngine
    """Of the model that is evaluated."""
    other_engines: Mapping[str, BatchEngine]
    answer_verifier: Verifier

    def metrics(
        self, problems: Sequence[Problem], critiques: Sequence[str], key: str, seed: tuple[Any, ...]
    ) -> dict[str, float]:
        """Acc@Refine of one critique of each problem where the actor is given a control instead: key_refine_empty, ...,
        with intervals. [P] problems, [P] critiques as text.

        A refinement that could not be had or judged leaves its problem out, as in Acc@Refine itself;
        key_refine_empty_failed is the share of these problems.
        """
        read = [
            self.format.parse(text, len(p.reference.get("steps") or ()) or None)
            for p, text in zip(problems, critiques, strict=True)
        ]
        feedback = [critique.feedback for critique in read]
        judgements = [critique.judgement and critique.judgement.value for critique in read]
        metrics: dict[str, float] = {}
        for name in CONTROLS:
            if name == "shuffled" and len(problems) < 2:
                continue
            control = control_feedback(name, feedback, judgements, seed=derive_seed(*seed, name))
            controlled = [
                dataclasses.replace(critique, feedback=text) for critique, text in zip(read, control, strict=True)
            ]
            scores = self._refined_scores(problems, controlled, (*seed, name))
            metrics[f"{key}_refine_{name}_failed"] = 1 - len(scores) / len(problems)
            if scores:
                interval = clustered_mean(scores)
                metrics |= {
                    f"{key}_refine_{name}": interval.estimate,
                    f"{key}_refine_{name}_low": interval.low,
                    f"{key}_refine_{name}_high": interval.high,
                }
        return metrics

    def _refined_scores(
        self, problems: Sequence[Problem], critiques: Sequence[Critique], seed: tuple[Any, ...]
    ) -> list[list[float]]:
        """[1.0] or [0.0] for each problem whose refinement could be had and judged."""
        plays = [
            functools.partial(self._refine, problem, critique, derive_seed(*seed, problem.id))
            for problem, critique in zip(problems, critiques, strict=True)
        ]
        texts = run_episodes(plays, self.engine, self.other_engines)
        answered = [(problem, text) for problem, text in zip(problems, texts, strict=True) if text is not None]
        verdicts = self.answer_verifier.verify(
            [text for _, text in answered], [problem.reference for problem, _ in answered]
        )
        return [[float(verdict.correct)] for verdict in verdicts if verdict.correct is not None]

    async def _refine(self, problem: Problem, critique: Critique, seed: int, engines: RoleEngines) -> str | None:
        """The refined response; None where the actor did not answer."""
        chat = self.format.refine_messages(problem, solution_of(problem.reference, problem.id), critique)
        try:
            return (await self.actor.say([chat], [seed], engines))[0].text
        except ServedFailure:
            return None
