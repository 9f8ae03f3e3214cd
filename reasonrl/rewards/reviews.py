"""What a critic's judgement of a response earns, and what it is worth: step 4 for `reward: {NAME: {critic: MODEL}}`.

A critic is not a verifier: it errs, and a policy that is paid by it learns where. So its scores are calibrated on the
rollouts that the verifier judges anyway. Let a and r be how often rollouts that the critic accepts, and that it
rejects, are correct. A score s from 0 (rejected at once) to 1 (accepted) then earns

    r + max(0, a - r) * s,

which is the chance that the response is correct where s is 0 or 1, and in between where the critic names the first
wrong step. A critic that the policy has learned to please accepts what is wrong too: a falls, and so does what there is
to win. a and r are shares over the steps before, old steps count less (`DECAY`), and they begin as if the critic were
right (`PRIOR` rollouts of each kind), so the first steps take it at its word.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from reasonrl.engines.base import derive_seed
from reasonrl.environments.base import Episode
from reasonrl.recipe.rewards import ReviewerSpec
from reasonrl.recipe.schema import Recipe

DECAY = 0.95
"""Of the counts, by step: half of the weight is on the last 14 steps."""
PRIOR = 8.0
"""Accepted rollouts that were correct, and rejected ones that were not, before the first step."""


class ReviewReward:
    """One part of the reward. Its counts are the state of the run."""

    def __init__(self, part: str, spec: ReviewerSpec, seed: int) -> None:
        self.part, self._spec, self._seed = part, spec, seed
        self._accepted, self._accepted_correct = PRIOR, PRIOR
        self._rejected, self._rejected_correct = PRIOR, 0.0

    @property
    def correct_if_accepted(self) -> float:
        return self._accepted_correct / self._accepted

    @property
    def correct_if_rejected(self) -> float:
        return self._rejected_correct / self._rejected

    @property
    def worth(self) -> float:
        """What an accepted response earns more than a rejected one, before the weight of the part."""
        return max(0.0, self.correct_if_accepted - self.correct_if_rejected) if self._spec.calibrate else 1.0

    def assign(self, episodes: Sequence[Episode], *, step: int, drawn: int) -> None:
        """Gives each episode its value of the part, or None where a server failed. `drawn`: which round of the step."""
        scores = [episode.reviews[self.part].score for episode in episodes]
        if self._spec.shuffle:
            scores = shuffled(scores, derive_seed(self._seed, "shuffled reviews", self.part, step, drawn))
        base = self.correct_if_rejected if self._spec.calibrate else 0.0
        values = [None if score is None else base + self.worth * score for score in scores]
        for episode, value in zip(episodes, self._filled(episodes, values), strict=True):
            failed = episode.reviews[self.part].failure is not None
            episode.reward_parts[self.part] = None if failed else value

    def _filled(self, episodes: Sequence[Episode], values: Sequence[float | None]) -> list[float | None]:
        """A response that was not read gets the mean of its group, or of all, or what a rejected one gets."""
        if self._spec.unread == "mask":
            return list(values)
        by_problem: dict[str, list[float]] = {}
        for episode, value in zip(episodes, values, strict=True):
            if value is not None:
                by_problem.setdefault(episode.problem.id, []).append(value)
        every = [value for group in by_problem.values() for value in group]
        default = statistics.fmean(every) if every else 0.0
        means = {problem: statistics.fmean(group) for problem, group in by_problem.items()}
        return [
            means.get(episode.problem.id, default) if value is None else value
            for episode, value in zip(episodes, values, strict=True)
        ]

    def observe(self, episodes: Sequence[Episode]) -> None:
        """The rollouts of a step, which calibrate the steps after it."""
        for name in ("_accepted", "_accepted_correct", "_rejected", "_rejected_correct"):
            setattr(self, name, DECAY * getattr(self, name))
        for episode in episodes:
            correct = episode.verdicts["correctness"].correct
            if correct is None:
                continue
            review = episode.reviews[self.part]
            self._accepted += review.accepted
            self._rejected += review.rejected
            self._accepted_correct += review.accepted * correct
            self._rejected_correct += review.rejected * correct

    def metrics(self, episodes: Sequence[Episode]) -> dict[str, float]:
        """How the critic judged the rollouts of a step, and how far that agrees with the verifier."""
        reviews = [(e.reviews[self.part], e.verdicts["correctness"].correct) for e in episodes]
        read = sum(review.accepted + review.rejected for review, _ in reviews)
        unread = sum(review.unread for review, _ in reviews)
        known = [(review, correct) for review, correct in reviews if correct is not None]
        judged = sum(review.accepted + review.rejected for review, _ in known)
        agrees = sum(review.accepted if correct else review.rejected for review, correct in known)
        name = f"review/{self.part}"
        return {
            f"{name}/accepted": sum(review.accepted for review, _ in reviews) / read if read else 0.0,
            f"{name}/unread": unread / max(1, read + unread),
            f"{name}/agreement": agrees / judged if judged else 0.0,
            f"{name}/worth": self.worth,
        }

    def state_dict(self) -> dict[str, float]:
        return {
            "accepted": self._accepted,
            "accepted_correct": self._accepted_correct,
            "rejected": self._rejected,
            "rejected_correct": self._rejected_correct,
        }

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Raises KeyError for a state that lacks one of the counts."""
        self._accepted, self._accepted_correct = state["accepted"], state["accepted_correct"]
        self._rejected, self._rejected_correct = state["rejected"], state["rejected_correct"]


def review_rewards(recipe: Recipe) -> list[ReviewReward]:
    """Those that the recipe names."""
    return [
        ReviewReward(name, part.critic, recipe.seed) for name, part in recipe.reward.items() if part.critic is not None
    ]


def shuffled(values: Sequence[Any], seed: int) -> list[Any]:
    """Every value in another place than it had (Sattolo's cycle)."""
    draw, moved = random.Random(seed), list(values)
    for last in range(len(moved) - 1, 0, -1):
        other = draw.randrange(last)
        moved[last], moved[other] = moved[other], moved[last]
    return moved
