"""What a critic's judgement of a response earns, and what it is worth: step 4 for `reward: {NAME: {critic: MODEL}}`.

A critic is not a verifier: it errs, and a policy that is paid by it learns where. So its scores are calibrated on the
rollouts that the verifier judges anyway. Let a and r be how often rollouts that the critic accepts, and that it
rejects, are correct. A score s from 0 (rejected at once) to 1 (accepted) then earns

    r + max(0, a - r) * s,

which is the chance that the response is correct where s is 0 or 1, and in between where the critic names the first
wrong step. A critic that the policy has learned to please accepts what is wrong too: a falls, and so does what there is
to win. a and r are shares over the rollouts of the steps before, of which old ones count less (`DECAY`), and over
`PRIOR` rollouts of each kind about which the critic was right. These do not fade: the first steps take the critic at
its word, and one rollout of a kind that was not seen for long decides nothing.

The control shuffles scores among the rollouts of a problem, so that the mean and the spread of its group stay as they
are, and only what the critic says of which one is lost.
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
"""Accepted rollouts that were correct, and rejected ones that were not, that are counted at every step."""


class ReviewReward:
    """One part of the reward. Its counts are the state of the run.

    Args:
        others: the other parts of the reward that have a weight. A response without one of them takes no part in the
            update.
        mask_truncated: nor does one that was cut off.
    """

    def __init__(
        self,
        part: str,
        spec: ReviewerSpec,
        seed: int,
        *,
        others: Sequence[str] = ("correctness",),
        mask_truncated: bool = False,
    ) -> None:
        self.part, self._spec, self._seed = part, spec, seed
        self._others, self._mask_truncated = others, mask_truncated
        self._accepted, self._accepted_correct = 0.0, 0.0
        self._rejected, self._rejected_correct = 0.0, 0.0

    @property
    def correct_if_accepted(self) -> float:
        return (PRIOR + self._accepted_correct) / (PRIOR + self._accepted)

    @property
    def correct_if_rejected(self) -> float:
        return self._rejected_correct / (PRIOR + self._rejected)

    @property
    def worth(self) -> float:
        """What an accepted response earns more than a rejected one, before the weight of the part."""
        return max(0.0, self.correct_if_accepted - self.correct_if_rejected) if self._spec.calibrate else 1.0

    def assign(self, episodes: Sequence[Episode], *, step: int, drawn: int) -> None:
        """Gives each episode its value of the part, or None where a server failed. `drawn`: which round of the step."""
        scores = [episode.reviews[self.part].score for episode in episodes]
        if self._spec.shuffle:
            seed = derive_seed(self._seed, "shuffled reviews", self.part, step, drawn)
            scores = shuffled_in_groups([episode.problem.id for episode in episodes], scores, seed)
        base = self.correct_if_rejected if self._spec.calibrate else 0.0
        values = [None if score is None else base + self.worth * score for score in scores]
        for episode, value in zip(episodes, self._filled(episodes, values, base), strict=True):
            failed = episode.reviews[self.part].failure is not None
            episode.reward_parts[self.part] = None if failed else value

    def _filled(
        self, episodes: Sequence[Episode], values: Sequence[float | None], rejected: float
    ) -> list[float | None]:
        """A response that was not read gets the mean of its group, or of all, or what a `rejected` one gets. Means are
        over the rollouts that take part in the update, as baselines are.
        """
        if self._spec.unread == "mask":
            return list(values)
        by_problem: dict[str, list[float]] = {}
        for episode, value in zip(episodes, values, strict=True):
            if value is not None and self._takes_part(episode):
                by_problem.setdefault(episode.problem.id, []).append(value)
        every = [value for group in by_problem.values() for value in group]
        default = statistics.fmean(every) if every else rejected
        means = {problem: statistics.fmean(group) for problem, group in by_problem.items()}
        return [
            means.get(episode.problem.id, default) if value is None else value
            for episode, value in zip(episodes, values, strict=True)
        ]

    def _takes_part(self, episode: Episode) -> bool:
        is_cut = episode.trained_trajectory.finish_reason == "length"
        return all(_is_there(episode, part) for part in self._others) and not (is_cut and self._mask_truncated)

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
        failed = sum(review.failure is not None for review, _ in reviews)
        known = [(review, correct) for review, correct in reviews if correct is not None]
        judged = sum(review.accepted + review.rejected for review, _ in known)
        agrees = sum(review.accepted if correct else review.rejected for review, correct in known)
        name = f"review/{self.part}"
        return {
            f"{name}/accepted": sum(review.accepted for review, _ in reviews) / read if read else 0.0,
            f"{name}/unread": unread / max(1, read + unread),
            f"{name}/failed": failed / max(1, len(reviews)),
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


def _is_there(episode: Episode, part: str) -> bool:
    if part in episode.reviews:  # what it earns may not be known yet
        return episode.reviews[part].failure is None
    return episode.reward_parts.get(part) is not None


def review_rewards(recipe: Recipe) -> list[ReviewReward]:
    """Those that the recipe names."""
    return [
        ReviewReward(
            name,
            part.critic,
            recipe.seed,
            others=[other for other, spec in recipe.reward.items() if spec.weight and other != name],
            mask_truncated=recipe.train.mask_truncated,
        )
        for name, part in recipe.reward.items()
        if part.critic is not None
    ]


def shuffled_in_groups(problem_ids: Sequence[str], scores: Sequence[float | None], seed: int) -> list[float | None]:
    """Every score at another rollout of its problem, where the problem has several. What has none, keeps none."""
    places: dict[str, list[int]] = {}
    for place, (problem, score) in enumerate(zip(problem_ids, scores, strict=True)):
        if score is not None:
            places.setdefault(problem, []).append(place)
    moved = list(scores)
    for problem, group in places.items():
        new = shuffled([scores[place] for place in group], derive_seed(seed, problem))
        for place, score in zip(group, new, strict=True):
            moved[place] = score
    return moved


def shuffled(values: Sequence[Any], seed: int) -> list[Any]:
    """Every value in another place than it had (Sattolo's cycle)."""
    draw, moved = random.Random(seed), list(values)
    for last in range(len(moved) - 1, 0, -1):
        other = draw.randrange(last)
        moved[last], moved[other] = moved[other], moved[last]
    return moved
