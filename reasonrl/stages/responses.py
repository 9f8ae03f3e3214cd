"""`collect: {make: responses}`: a policy's own correct responses as demonstrations; with a critic, incorrect ones are
refined first.

    response (policy)  right -> kept
                       wrong -> critique (critic) -> refinement (policy), kept when it is right and no shortcut

Without a critic that is rejection sampling (STaR, RFT); with one it is the self-training of AutoMathCritique
(arXiv:2411.16579), which adds problems that the policy never solves alone to its training set. Each round trains the
base model again (`init_from`), as in the paper.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from reasonrl.engines.base import BatchEngine
from reasonrl.environments.base import Episode
from reasonrl.environments.refined import Refiner
from reasonrl.environments.roles import LocalSpeaker
from reasonrl.errors import TrainingError
from reasonrl.models.loading import LanguageModel
from reasonrl.recipe.schema import Recipe
from reasonrl.setup.roles import Roles, policy_positions
from reasonrl.stages.collector import UNUSABLE, CollectedSet, Collector, Filter, SeenBefore, in_words, sift
from verifiers.types import Problem, Verdict, Verifier

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


class RightResponse(NamedTuple):
    """The demonstration: a response of the policy, without white space around it."""

    problem: Problem
    text: str
    refined: bool = False
    """Whether the response was refined with the help of a critic."""

    def demonstration(self, number: int) -> Problem:
        """The problem with this response as its demonstration. `number` makes its id unique within the set."""
        problem = self.problem
        reference = {**problem.reference, "demonstration": self.text}
        meta = {**problem.meta, "refined": self.refined}
        return Problem(f"{problem.id}/{number}", problem.prompt, problem.kind, reference, problem.source, meta)


class Refinement(NamedTuple):
    """A wrong response, what it was refined to, and the verdict on that."""

    before: Episode
    after: Episode
    verdict: Verdict


class ResponseCollector(Collector):
    """Samples -> right responses and right refinements -> different ones."""

    def __init__(
        self, recipe: Recipe, policy: LanguageModel, engine: BatchEngine, verifier: Verifier, roles: Roles
    ) -> None:
        super().__init__(recipe, policy, engine, verifier, roles)
        self._refiner: Refiner | None = None
        critic = roles.speaker("critic")
        if critic is not None:
            assert recipe.critic is not None  # `collector_roles` has checked it
            speaker = LocalSpeaker(
                "policy", policy.tokenizer, self.sampling, positions=policy_positions(recipe, policy)
            )
            self._refiner = Refiner(speaker, recipe.critic.format.load(), critic)

    def collect(self, set_name: str, problems: Sequence[Problem]) -> CollectedSet:
        """Problems of their original kind, with the response to learn in reference["demonstration"]."""
        samples = self.sample(set_name, problems)
        usable, unusable = sift(samples, UNUSABLE)
        unaided = [RightResponse(s.episode.problem, s.episode.text.strip()) for s in usable if s.verdict.correct]
        wrong = [sample.episode for sample in usable if not sample.verdict.correct]
        refined, not_refined = self.refine(wrong, set_name)
        written, empty = sift([*unaided, *refined], [Filter("empty", lambda response: not response.text)])
        repeated = SeenBefore[RightResponse](lambda response: (response.problem.id, response.text))
        different, said_before = sift(written, [Filter("said before", repeated)])

        counts = Counter({"sampled": len(samples)})
        counts.update(unusable)
        counts["right"] = sum(not response.refined for response in written)
        counts["wrong"] = len(wrong)
        counts.update(not_refined)
        if self._refiner is not None:
            counts["refined to right"] = sum(response.refined for response in written)
        counts.update(empty)
        counts.update(said_before)
        counts["problems with a right response"] = len({response.problem.id for response in different})
        if not different:
            raise TrainingError(
                f"collect: none of the {counts['sampled']} responses sampled for '{set_name}' is correct:"
                f" {in_words(counts)}"
            )
        demonstrations = [response.demonstration(number) for number, response in enumerate(different, 1)]
        demonstrations = demonstrations[: self.spec.limit]
        counts["kept"] = len(demonstrations)
        return CollectedSet(demonstrations, counts)

    def refine(self, wrong: Sequence[Episode], set_name: str) -> tuple[list[RightResponse], Counter[str]]:
        """Correct refinements of incorrect responses, and counts of the others by reason."""
        if self._refiner is None:
            return [], Counter()
        refinements = self._refiner.refine(
            wrong, self.engine, self.roles.engines, seed=(self.recipe.seed, "refine", set_name)
        )
        pairs = [(before, after) for before, after in zip(wrong, refinements, strict=True) if after is not None]
        verdicts = self.verifier.verify(
            [after.text for _, after in pairs], [after.problem.reference for _, after in pairs]
        )
        judged = [Refinement(*pair, verdict) for pair, verdict in zip(pairs, verdicts, strict=True)]
        right, dropped = sift(
            judged,
            [
                Filter("refinement not judged", lambda item: item.verdict.correct is None),
                Filter("refinement cut off", lambda item: item.after.trained_trajectory.finish_reason == "length"),
                Filter("refined to wrong", lambda item: not item.verdict.correct),
                Filter("refined by a shortcut", self._is_shortcut),
            ],
        )
        counts = Counter({"not refined: the critic did not answer": len(wrong) - len(pairs)})
        counts.update(dropped)
        return [RightResponse(item.before.problem, item.after.text.strip(), refined=True) for item in right], counts

    def _is_shortcut(self, item: Refinement) -> bool:
        gold = item.before.problem.reference.get("demonstration")
        return is_shortcut(item.after.text, item.before.text, gold, self.spec.shortcut_margin)


def is_shortcut(refined: str, response: str, gold: str | None, margin: int) -> bool:
    """Whether a right refinement has left its reasoning out: it holds more than `margin` fewer numbers than the
    response that it corrects, or than the reference solution where that is shorter (the `shortcut_barrier` of the
    official code, margin 2).
    """
    expected = min(len(_NUMBER.findall(text)) for text in (response, gold) if text is not None)
    return len(_NUMBER.findall(refined)) < expected - margin
