"""The rollouts of one step, after steps 1 to 5, and their batch.

Each trainer fills it in its own way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from reasonrl.algorithms.batch import RolloutBatch
from reasonrl.environments.base import Episode
from reasonrl.rewards.base import RewardPart, total_reward
from verifiers.types import Problem


@dataclass
class StepRollouts:
    """The episodes of one step with their rewards. B rollouts of P problems, added in rounds."""

    episodes: list[Episode] = field(default_factory=list)
    """[B]"""
    rewards: list[float | None] = field(default_factory=list)
    """[B] raw rewards; None where a part could not be judged."""
    groups: list[int] = field(default_factory=list)
    """[B] which of `problems` each episode belongs to."""
    problems: list[Problem] = field(default_factory=list)
    """[P]"""
    counts: list[int] = field(default_factory=list)
    """[P] rollouts of each problem, refinements not counted."""
    greedy: list[float] = field(default_factory=list)
    """[P] reward of the greedy response, NaN where it could not be judged; empty where no method needs it."""
    greedy_episodes: list[Episode] = field(default_factory=list)
    """[P] the greedy responses themselves, in which a failure masks a whole group."""
    predicted: list[float | None] = field(default_factory=list)
    """[P] success rate that the value model predicted before the rollouts."""
    rounds: int = 0
    """More than one where `train.refill` drew again (dynamic sampling)."""

    def add(
        self,
        problems: Sequence[Problem],
        counts: Sequence[int],
        episodes: Sequence[Episode],
        parts: Sequence[RewardPart],
        *,
        predicted: Sequence[float | None],
        greedy: Sequence[Episode] = (),
        refined: Sequence[tuple[int, Episode]] = (),
    ) -> None:
        """Add a round: `counts[i]` episodes of `problems[i]`, in order.

        `refined` are further rows of a group, by its place among `problems` (Critique-GRPO).
        """
        first = len(self.problems)
        self.predicted += predicted
        self.groups += [first + i for i, count in enumerate(counts) for _ in range(count)]
        self.groups += [first + place for place, _ in refined]
        self.problems += problems
        self.counts += counts
        new_episodes = [*episodes, *(episode for _, episode in refined)]
        self.episodes += new_episodes
        self.rewards += [total_reward(episode, parts) for episode in new_episodes]
        self.greedy_episodes += greedy
        greedy_rewards = [total_reward(episode, parts) for episode in greedy]
        self.greedy += [math.nan if reward is None else reward for reward in greedy_rewards]
        self.rounds += 1

    def batch(self, parts: Sequence[RewardPart], entropy: Tensor | None = None) -> RolloutBatch:
        """All rows as tensors. `entropy` [B, T] is that of each token's distribution, where a method asks for it."""
        trained = [episode.trained_trajectory for episode in self.episodes]
        return RolloutBatch.from_rows(
            problem_id=[episode.problem.id for episode in self.episodes],
            group=self.groups,
            token_ids=[trajectory.response_ids for trajectory in trained],
            loss_mask=[trajectory.loss_mask for trajectory in trained],
            logprobs=[trajectory.logprobs for trajectory in trained],
            rewards=self.rewards,
            reward_parts={part.name: [e.reward_parts[part.name] for e in self.episodes] for part in parts},
            entropy=entropy,
            off_policy=[episode.off_policy for episode in self.episodes],
        )

    def correct(self) -> Tensor:
        """[B] bool: the answer was judged correct."""
        return torch.tensor([episode.verdicts["correctness"].correct is True for episode in self.episodes])

    def eligible(self, batch: RolloutBatch, *, mask_truncated: bool) -> Tensor:
        """[B] bool: rows that were judged and, with `mask_truncated`, came to an end. Where a greedy response is the
        baseline, it must have been judged too.
        """
        rows = batch.judged
        if mask_truncated:
            rows = rows & torch.tensor([e.trained_trajectory.finish_reason != "length" for e in self.episodes])
        greedy = self.greedy_rewards(batch)
        return rows if greedy is None else rows & ~torch.isnan(greedy)

    def unjudged_reason(self) -> str:
        """Why the first verdict that is not a judgement could not be given, or else the first critique for the reward;
        empty where there are all.
        """
        judged = [*self.episodes, *self.greedy_episodes]
        verdicts = (verdict for episode in judged for verdict in episode.verdicts.values())
        missing = next((verdict.reason for verdict in verdicts if verdict.correct is None), "")
        failures = (review.failure for episode in judged for review in episode.reviews.values())
        return missing or next((failure for failure in failures if failure is not None), "")

    def greedy_rewards(self, batch: RolloutBatch) -> Tensor | None:
        """[B] reward of the greedy response to each row's problem, NaN where it could not be judged."""
        return torch.tensor(self.greedy)[batch.group] if self.greedy else None


def successes(counts: Sequence[int], episodes: Sequence[Episode]) -> list[list[bool]]:
    """For step 5: by problem, whether each rollout that was judged is correct, whatever is filtered later."""
    verdicts = iter([episode.verdicts["correctness"] for episode in episodes])
    groups = [[next(verdicts) for _ in range(count)] for count in counts]
    return [[v.correct is True for v in group if v.correct is not None] for group in groups]
