"""Critique-GRPO (arXiv:2506.03106): wrong responses of a policy are criticised and written again, and the best of these
join the group.

    response (policy) -> critique (critic) -> refinement (policy, with the critique before it)

What is trained on is the refinement after the bare question: the critique is left out, so the policy learns to write
it unaided. That is off policy, and has a loss of its own (`reasonrl.algorithms.losses.critique_grpo`). The official
code refines every response and takes the first that is right, else the best; here wrong ones alone are refined, right
refinements first, in the order of the responses.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from critics.controls import INDICATIVE
from critics.formats import CritiqueFormat
from critics.types import Critique, Judgement, Solution
from reasonrl.engines.base import BatchEngine, RoleEngines, derive_seed
from reasonrl.engines.batching import run_episodes
from reasonrl.environments.base import Episode, Trajectory
from reasonrl.environments.roles import ServedFailure, Speaker
from reasonrl.errors import DataError
from verifiers.types import Problem


@dataclass(frozen=True)
class Refiner:
    """`critic` None: the critique says only that the solution is wrong ("indicative"); `with_answer` adds the reference
    answer, a leak.
    """

    policy: Speaker
    format: CritiqueFormat
    critic: Speaker | None = None
    with_answer: bool = False

    async def _refine(self, episode: Episode, seed: int, engines: RoleEngines) -> Episode | None:
        problem = episode.problem
        solution = Solution(problem.id, episode.text, correct=False)
        try:
            if self.critic is None:
                critique = self._indicative(episode)
            else:
                (answer,) = await self.critic.say(
                    [self.format.render(problem, solution)], [derive_seed(seed, "critique")], engines
                )
                critique = self.format.parse(answer.text)
            chat = self.format.refine_messages(problem, solution, critique)
            (refinement,) = await self.policy.say([chat], [derive_seed(seed, "refine")], engines)
        except ServedFailure as failure:
            episode.refinement_failure = str(failure)
            return None
        # The question alone stands before the refinement, and no probability of it was ever sampled.
        trajectory = Trajectory(
            role="policy",
            prompt_ids=episode.trained_trajectory.prompt_ids,
            response_ids=refinement.response_ids,
            loss_mask=[True] * len(refinement.response_ids),
            logprobs=[0.0] * len(refinement.response_ids),
            text=refinement.text,
            finish_reason=refinement.finish_reason,
        )
        return Episode(problem, episode.rollout, seed, [trajectory], guiding_critique=critique.text)

    def _indicative(self, episode: Episode) -> Critique:
        text = INDICATIVE["incorrect"]
        if self.with_answer:
            text += f" The answer is {episode.problem.reference['answer']}."
        return Critique(text, Judgement.INCORRECT, feedback=text)

    def refine(
        self,
        episodes: Sequence[Episode],
        engine: BatchEngine,
        others: Mapping[str, BatchEngine],
        *,
        seed: tuple[object, ...],
    ) -> list[Episode | None]:
        """A refinement of each of these wrong episodes; None where a served critic failed."""
        plays = [
            functools.partial(self._refine, episode, derive_seed(*seed, episode.problem.id, episode.rollout))
            for episode in episodes
        ]
        return run_episodes(plays, engine, others) if plays else []


def require_answers(problems: Sequence[Problem]) -> None:
    """For critiques with the reference answer. Raises DataError for the first problem that has none."""
    for problem in problems:
        if "answer" not in problem.reference:
            raise DataError(
                f"critique_grpo.with_answer: problem {problem.id} has no answer in its reference (it has"
                f" {', '.join(problem.reference) or 'nothing'}). Write with_answer: false, or name a critic"
            )


def wrong_episodes(groups: Sequence[Sequence[Episode]], trigger: str) -> list[tuple[int, Episode]]:
    """(group, wrong episode) of all that are refined: in every group, or (`all_wrong`) in groups without a
    right one.
    """
    chosen: list[tuple[int, Episode]] = []
    for place, group in enumerate(groups):
        wrong = [(place, episode) for episode in group if episode.verdicts["correctness"].correct is False]
        if trigger == "all" or len(wrong) == len(group):
            chosen += wrong
    return chosen


def choose_refinements(refined: Sequence[tuple[int, Episode]], count: int) -> list[tuple[int, Episode]]:
    """At most `count` refinements of each group that were judged: right ones first, else in the order of the
    responses.
    """
    judged = [
        (g, e)
        for g, e in refined
        if e.verdicts["correctness"].correct is not None and e.trained_trajectory.response_ids
    ]
    ordered = sorted(judged, key=lambda item: (item[0], item[1].verdicts["correctness"].correct is not True))
    return [item for i, item in enumerate(ordered) if sum(g == item[0] for g, _ in ordered[:i]) < count]
