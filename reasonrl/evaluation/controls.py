"""Refinements on controls in place of a critique, as baselines for Acc@Refine (`critics.controls`)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from critics.controls import CONTROLS, control_feedback
from critics.formats import CritiqueFormat
from critics.rewards import RefineWhen, wants_refinement
from critics.types import CriticEpisode, Critique
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
    refinements: int = 1
    when: RefineWhen = "all"
    """Which solutions are refined, by the critic's own judgements: as with its own critiques."""

    def metrics(
        self, problems: Sequence[Problem], critiques: Sequence[str], key: str, seed: tuple[Any, ...]
    ) -> dict[str, float]:
        """Acc@Refine of one critique of each problem where the actor is given a control instead: key_refine_empty, ...,
        with intervals. [P] problems, [P] critiques as text. A solution that is not refined counts as it is.

        A refinement that could not be had or judged leaves its problem out, as in Acc@Refine itself;
        key_refine_empty_failed is the share of these problems.
        """
        read = [
            self.format.parse(text, len(p.reference.get("steps") or ()) or None)
            for p, text in zip(problems, critiques, strict=True)
        ]
        feedback = [critique.feedback for critique in read]
        judgements = [critique.judgement and critique.judgement.value for critique in read]
        refined = [self._is_refined(problem, critique) for problem, critique in zip(problems, read, strict=True)]
        metrics: dict[str, float] = {}
        for name in CONTROLS:
            if name == "shuffled" and len(problems) < 2:
                continue
            control = control_feedback(name, feedback, judgements, seed=derive_seed(*seed, name))
            controlled = [
                dataclasses.replace(critique, feedback=text) for critique, text in zip(read, control, strict=True)
            ]
            scores = self._scores(problems, controlled, refined, (*seed, name))
            metrics[f"{key}_refine_{name}_failed"] = 1 - len(scores) / len(problems)
            if scores:
                interval = clustered_mean(scores)
                metrics |= {
                    f"{key}_refine_{name}": interval.estimate,
                    f"{key}_refine_{name}_low": interval.low,
                    f"{key}_refine_{name}_high": interval.high,
                }
        return metrics

    def _is_refined(self, problem: Problem, critique: Critique) -> bool:
        solution = solution_of(problem.reference, problem.id)
        return wants_refinement(CriticEpisode(problem, solution, critique), self.when)

    def _scores(
        self,
        problems: Sequence[Problem],
        critiques: Sequence[Critique],
        refined: Sequence[bool],
        seed: tuple[Any, ...],
    ) -> list[list[float]]:
        """The mean of its refinements for each problem that has some which could be judged, and for one that is not
        refined whether its solution is correct, where that is known.
        """
        plays = [
            functools.partial(self._refine, problem, critique, (*seed, problem.id))
            for problem, critique, is_refined in zip(problems, critiques, refined, strict=True)
            if is_refined
        ]
        to_refine = [problem for problem, is_refined in zip(problems, refined, strict=True) if is_refined]
        texts = run_episodes(plays, self.engine, self.other_engines)
        references = [p.reference for p, several in zip(to_refine, texts, strict=True) for _ in several]
        verdicts = iter(self.answer_verifier.verify([text for several in texts for text in several], references))
        of_refined = iter([[next(verdicts).correct for _ in several] for several in texts])
        outcomes = [
            next(of_refined) if is_refined else [solution_of(problem.reference, problem.id).correct]
            for problem, is_refined in zip(problems, refined, strict=True)
        ]
        judged = [[float(correct) for correct in several if correct is not None] for several in outcomes]
        return [[sum(several) / len(several)] for several in judged if several]

    async def _refine(
        self, problem: Problem, critique: Critique, seed: tuple[Any, ...], engines: RoleEngines
    ) -> list[str]:
        """The refined responses; none where the actor did not answer."""
        chat = self.format.refine_messages(problem, solution_of(problem.reference, problem.id), critique)
        seeds = [derive_seed(*seed, *([number] if number else [])) for number in range(self.refinements)]
        try:
            answers = await self.actor.say([chat] * self.refinements, seeds, engines)
        except ServedFailure:
            return []
        return [answer.text for answer in answers]
