"""A critic judges the response of an episode, beside the verifier: the same code for the local trainer and for verl."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from critics.formats.base import CritiqueFormat
from critics.steps import Style, split_steps
from critics.types import Critique, Judgement, Solution
from reasonrl.engines.base import RoleEngines, derive_seed
from reasonrl.engines.served import ServedFailure, ServedRefusal
from reasonrl.environments.base import Episode, Review
from reasonrl.environments.roles import Speaker


@dataclass(frozen=True)
class Reviewer:
    """One critic in the reward."""

    part: str
    """The part of the reward that it gives."""
    critic: Speaker
    format: CritiqueFormat
    steps: Style = "auto"
    samples: int = 1
    by_steps: bool = True
    """Whether a response that is rejected scores the share of its steps before the first wrong one, or 0."""

    async def review(self, episode: Episode, seed: int, engines: RoleEngines) -> None:
        """Fills in `episode.reviews`. A blank response scores 0 without asking, and says nothing about the critic. A
        server that refuses a response, for its length say, leaves it unread; one that fails is noted, and where it
        gave none of the critiques, the response is left without a score.
        """
        if not episode.text.strip():
            episode.reviews[self.part] = Review(score=0.0)
            return
        steps = split_steps(episode.text, self.steps)
        solution = Solution(episode.problem.id, episode.text, steps)
        chat = self.format.render(episode.problem, solution)
        seeds = [derive_seed(seed, "review", self.part, sample) for sample in range(self.samples)]
        calls = (self.critic.say([chat], [each], engines) for each in seeds)
        answers = await asyncio.gather(*calls, return_exceptions=True)
        critiques: list[Critique] = []
        failures: list[ServedFailure] = []
        for answer in answers:
            if isinstance(answer, ServedFailure):
                failures.append(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                critiques.append(self.format.parse(answer[0].text, len(steps)))
        refused = sum(isinstance(failure, ServedRefusal) for failure in failures)
        if critiques or refused:
            critiques += [self.format.parse("", len(steps))] * refused
            episode.reviews[self.part] = self._summary(critiques, len(steps))
        else:
            episode.reviews[self.part] = Review(failure=str(failures[0]))

    def _summary(self, critiques: list[Critique], steps: int) -> Review:
        judgements = [critique.judgement for critique in critiques]
        scores = [self._score(critique, steps) for critique in critiques if critique.judgement is not None]
        return Review(
            accepted=judgements.count(Judgement.CORRECT),
            rejected=judgements.count(Judgement.INCORRECT),
            unread=judgements.count(None),
            score=sum(scores) / len(scores) if scores else None,
            text=critiques[0].text,
        )

    def _score(self, critique: Critique, steps: int) -> float:
        if critique.judgement is Judgement.CORRECT:
            return 1.0
        wrong = critique.first_error
        return min(wrong / steps, 1.0) if self.by_steps and wrong is not None and wrong > 0 else 0.0
