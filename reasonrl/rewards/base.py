"""One term of the reward, and their sum."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from reasonrl.environments.base import Episode
from verifiers.types import Problem, Verifier

RewardFunction = Callable[
    [Sequence[str], Sequence[Problem]], Sequence[float | None] | Awaitable[Sequence[float | None]]
]
"""(responses, problems) -> one reward for each; None masks an episode. It may be async."""

EpisodeReward = Callable[[Sequence[Episode], int], Sequence[float | None]]
"""(episodes, step) -> rewards; None masks an episode. It may add verdicts, and refinements
to the critique of an episode.
"""


@dataclass(frozen=True)
class RewardPart:
    """One term of the reward: a verifier's score, a function of the user's, or a function of whole episodes. One with
    none of them is judged by a critic (`reasonrl.rewards.reviews`).
    """

    name: str
    weight: float
    verifier: Verifier | None = None
    function: RewardFunction | None = None
    episodes: EpisodeReward | None = None
    """For rewards that look at more than a response: refinements, an opponent, the step of the run."""

    @property
    def is_reviewed(self) -> bool:
        """Whether a critic judges it."""
        return self.verifier is None and self.function is None and self.episodes is None


def total_reward(episode: Episode, parts: Sequence[RewardPart]) -> float | None:
    """The weighted sum of the parts; None as soon as one part with a weight could not be judged."""
    total = 0.0
    for part in parts:
        value = episode.reward_parts[part.name]
        if value is None and part.weight != 0:
            return None
        total += part.weight * (value or 0.0)
    return total
