"""A critique of a solution, and then, if the recipe wants it, what an actor makes of it.

    critic (trained): question, solution -> critique
    actor (not trained), M times: question, solution, critique -> another solution

The problem is of kind "critique": its prompt is that of the critic, `meta.question` the question, and its reference
holds the solution with its labels. Refinements are kept as they are written and judged later, all of a step in one
batch (`reasonrl.rewards.critique`).
"""

from __future__ import annotations

from typing import Any

from critics.formats import CritiqueFormat
from critics.rewards import RefineWhen, wants_refinement
from critics.types import CriticEpisode
from critics.verifier import solution_of
from reasonrl.engines.base import RoleEngines, Sampling, derive_seed
from reasonrl.environments.base import Episode
from reasonrl.environments.roles import ServedFailure, Speaker
from reasonrl.environments.single_turn import SingleTurn
from verifiers.types import Problem


class CritiqueAndRefine:
    """`refinements` 0, or no actor: the critique alone."""

    def __init__(
        self,
        tokenizer: Any,
        sampling: Sampling,
        *,
        format: CritiqueFormat,
        actor: Speaker | None = None,
        refinements: int = 0,
        when: RefineWhen = "all",
    ) -> None:
        self._critic = SingleTurn(tokenizer, sampling)
        self._format, self._actor, self._refinements, self._when = format, actor, refinements, when

    async def episode(self, problem: Problem, rollout: int, seed: int, engine: RoleEngines) -> Episode:
        played = await self._critic.episode(problem, rollout, seed, engine)
        if problem.kind != "critique":  # CRL mixes problems to solve among those to judge
            return played
        solution = solution_of(problem.reference, problem.id)
        critique = self._format.parse(played.text, len(solution.steps) or None)
        played.critique = judged = CriticEpisode(problem, solution, critique)
        played.trained_index = 0
        if self._actor is None or not self._refinements or not wants_refinement(judged, self._when):
            return played
        chat = self._format.refine_messages(problem, solution, critique)
        seeds = [derive_seed(seed, "refine", m) for m in range(self._refinements)]
        try:
            played.trajectories += await self._actor.say([chat] * self._refinements, seeds, engine)
        except ServedFailure as failure:
            played.failure = str(failure)
        return played
