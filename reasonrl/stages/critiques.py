"""`collect: {make: critiques}`: labelled solutions of a policy, as problems of kind "critique" for critics to judge."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from critics.balance import balanced
from critics.formats.base import question_of
from critics.steps import split_steps
from critics.types import Solution
from reasonrl.engines.base import BatchEngine, derive_seed
from reasonrl.errors import TrainingError
from reasonrl.models.loading import LanguageModel
from reasonrl.plugins import import_dotted
from reasonrl.recipe.schema import Recipe
from reasonrl.setup.roles import Roles
from reasonrl.stages.collector import UNUSABLE, CollectedSet, Collector, Filter, Sample, SeenBefore, in_words, sift
from reasonrl.stages.labels import (
    Attempt,
    MonteCarloLabeller,
    StepLabels,
    complete_by_policy,
    complete_by_speaker,
)
from reasonrl.stages.user_labels import StepLabeller, user_demonstration, user_label
from verifiers.types import Problem, Verifier


class CritiqueCollector(Collector):
    """Samples -> different, complete solutions -> labelled steps -> as many right as wrong."""

    def __init__(
        self, recipe: Recipe, policy: LanguageModel, engine: BatchEngine, verifier: Verifier, roles: Roles
    ) -> None:
        super().__init__(recipe, policy, engine, verifier, roles)
        spec, completer = self.spec, roles.speaker("completer")
        self._complete = (
            complete_by_policy(policy, engine, self.sampling)
            if completer is None
            else complete_by_speaker(completer, engine, roles.engines)
        )
        self._demonstrate = import_dotted(spec.demonstrator, "collect.demonstrator") if spec.demonstrator else None

    def collect(self, set_name: str, problems: Sequence[Problem]) -> CollectedSet:
        samples = self.sample(set_name, problems)
        counts = Counter({"sampled": len(samples)})
        repeated = SeenBefore[Sample](lambda sample: (sample.episode.problem.id, sample.episode.text.strip()))
        filters = [
            *UNUSABLE,
            Filter[Sample]("empty", lambda sample: not sample.episode.text.strip()),
            Filter[Sample]("said before", repeated),
        ]
        samples, dropped = sift(samples, filters)
        counts.update(dropped)
        attempts, dropped = self.labelled([self.attempt(sample) for sample in samples], set_name)
        counts.update(dropped)
        attempts = self.cut(attempts)
        counts["right"] = sum(is_right(attempt) for attempt in attempts)
        counts["wrong"] = len(attempts) - counts["right"]
        if not attempts:
            raise TrainingError(
                f"collect: none of the {counts['sampled']} solutions sampled for '{set_name}' can be used:"
                f" {in_words(counts)}"
            )
        attempts = self.limited(self.balanced(attempts, set_name))
        counts["kept"] = len(attempts)
        return CollectedSet(self.critique_problems(attempts), counts)

    def attempt(self, sample: Sample) -> Attempt:
        """The response as a solution in steps."""
        problem, text, verdict = sample.episode.problem, sample.episode.text.strip(), sample.verdict
        steps = split_steps(text, self.spec.steps)
        return Attempt(problem, Solution(problem.id, text, steps, verdict.extracted, verdict.correct))

    def labelled(self, attempts: list[Attempt], set_name: str) -> tuple[list[Attempt], Counter[str]]:
        """With the index of the first wrong step, where the recipe names a labeller; and counts of the others.

        A wrong answer without a wrong step contradicts itself.
        """
        if self.spec.labeller is None:
            return attempts, Counter()
        labels = self.label_steps(self.spec.labeller, attempts, set_name)
        labelled = [
            Attempt(problem, replace(solution, first_error=index))
            for (problem, solution), index in zip(attempts, labels.first_errors, strict=True)
        ]
        consistent, dropped = sift(
            labelled,
            [
                Filter("steps not labelled", lambda attempt: attempt.solution.first_error is None),
                Filter(
                    "labels contradict",
                    lambda attempt: attempt.solution.first_error == -1 and attempt.solution.correct is False,
                ),
            ],
        )
        return consistent, labels.counts + dropped

    def label_steps(self, labeller: str, attempts: Sequence[Attempt], set_name: str) -> StepLabels:
        if labeller == "monte_carlo":
            monte_carlo = MonteCarloLabeller(
                self._complete, self.verifier, completions_per_step=self.spec.completions_per_step
            )
            return monte_carlo.label(attempts, seed=(self.recipe.seed, "monte carlo", set_name))
        label: StepLabeller = import_dotted(labeller, "collect.labeller")
        return StepLabels([user_label(label, problem, solution) for problem, solution in attempts])

    def cut(self, attempts: list[Attempt]) -> list[Attempt]:
        """With `cut: last_step`, each solution up to the step that is to be judged: the first wrong one, or of a
        solution without one a step that is drawn.
        """
        if self.spec.cut == "none":
            return attempts
        shortened = []
        for number, (problem, solution) in enumerate(attempts):
            if solution.first_error is None:
                continue
            rng = random.Random(derive_seed(self.recipe.seed, "cut", problem.id, number))
            last = solution.first_error if solution.first_error >= 0 else rng.randrange(len(solution.steps))
            steps = solution.steps[: last + 1]
            shortened.append(
                Attempt(
                    problem,
                    Solution(solution.problem_id, "\n".join(steps), steps, first_error=solution.first_error),
                )
            )
        return shortened

    def balanced(self, attempts: list[Attempt], set_name: str) -> list[Attempt]:
        """As many right as wrong solutions. Raises TrainingError where one of the two is missing."""
        if self.spec.balance == "none":
            return attempts
        group = (lambda attempt: attempt.problem.id) if self.spec.balance == "problem" else None
        try:
            return balanced(attempts, is_right, seed=self.recipe.seed, group=group)
        except ValueError as error:
            raise TrainingError(f"collect: {set_name}: {error}") from error

    def limited(self, attempts: list[Attempt]) -> list[Attempt]:
        """The first `collect.limit`; of balanced solutions, half of them right."""
        limit = self.spec.limit
        if limit is None or self.spec.balance == "none":
            return attempts[:limit]
        right = [i for i, attempt in enumerate(attempts) if is_right(attempt)]
        wrong = [i for i, attempt in enumerate(attempts) if not is_right(attempt)]
        return [attempts[i] for i in sorted([*right[: limit // 2], *wrong[: limit // 2]])]

    def critique_problems(self, attempts: Sequence[Attempt]) -> list[Problem]:
        """A problem of kind "critique" for each solution, with a demonstration if the recipe names a demonstrator."""
        style = critique_style(self.recipe)
        numbers: Counter[str] = Counter()
        problems = []
        for problem, solution in attempts:
            numbers[problem.id] += 1
            reference = {
                **{key: value for key, value in problem.reference.items() if key != "demonstration"},
                "solution": solution.text,
                "steps": list(solution.steps),
                "solution_answer": solution.answer,
                "correct": solution.correct,
                "first_error": solution.first_error,
            }
            if self._demonstrate is not None:
                reference["demonstration"] = user_demonstration(self._demonstrate, problem, solution, style)
            identity = f"{problem.id}/{numbers[problem.id]}"
            question = question_of(problem)
            meta = {**problem.meta, "question": question}
            problems.append(Problem(identity, question, "critique", reference, problem.source, meta))
        return problems


def critique_style(recipe: Recipe) -> dict[str, Any]:
    """The format of demonstrations: that of the section `critic`, or `step_sentence`."""
    return recipe.critic.format.model_dump() if recipe.critic is not None else {"name": "step_sentence"}


def is_right(attempt: Attempt) -> bool:
    """By its answer, or for a solution that was cut, by its last step."""
    solution = attempt.solution
    return solution.correct if solution.correct is not None else solution.first_error == -1
