"""What the rollouts of one step have left behind, and the batch that is made of it. Both trainers fill it, each in its
own way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from reasonrl.algorithms.batch import RolloutBatch, length_mask, pad_rows
from reasonrl.environments.base import Episode
from reasonrl.rewards.base import RewardPart, total_reward
from verifiers.types import Problem


@dataclass
class Collected:
    """The episodes of one step with their rewards, after steps 1 to 5."""

    episodes: list[Episode] = field(default_factory=list)
    rewards: list[float | None] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    """One for each group."""
    counts: list[int] = field(default_factory=list)
    greedy: list[float] = field(default_factory=list)
    """Reward of the greedy response to each problem, NaN where it could not be judged; only where the recipe needs it.
    """
    predicted: list[float | None] = field(default_factory=list)
    """What the value model said of each problem before its rollouts."""
    rounds: int = 0

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
        """`counts[i]` episodes of `problems[i]`, in order; `refined` are further rows of a group, by its place among
        `problems`.
        """
        first = len(self.problems)
        self.predicted += predicted
        self.groups += [first + i for i, count in enumerate(counts) for _ in range(count)]
        self.problems += problems
        self.counts += counts
        self.episodes += episodes
        self.rewards += [total_reward(episode, parts) for episode in episodes]
        self.groups += [first + place for place, _ in refined]
        self.episodes += [episode for _, episode in refined]
        self.rewards += [total_reward(episode, parts) for _, episode in refined]
        judged = [total_reward(episode, parts) for episode in greedy]
        self.greedy += [math.nan if reward is None else reward for reward in judged]
        self.rounds += 1

    def batch(self, parts: Sequence[RewardPart], entropy: Tensor | None = None) -> RolloutBatch:
        """All rows as tensors."""
        last = [episode.own for episode in self.episodes]
        values = {part.name: [e.reward_parts[part.name] for e in self.episodes] for part in parts}
        marks = [bool(episode.info.get("off_policy")) for episode in self.episodes]
        return RolloutBatch(
            problem_id=[episode.problem.id for episode in self.episodes],
            group=torch.tensor(self.groups),  # type: ignore[arg-type]
            role=[t.role for t in last],
            tokens=pad_rows([t.response_ids for t in last], torch.long),  # type: ignore[arg-type]
            loss_mask=pad_rows([[float(m) for m in t.loss_mask] for t in last], torch.float32).bool(),  # type: ignore[arg-type]
            token_mask=length_mask([len(t.response_ids) for t in last]),
            rewards=torch.tensor([0.0 if r is None else r for r in self.rewards]),  # type: ignore[arg-type]
            judged=torch.tensor([r is not None for r in self.rewards]),  # type: ignore[arg-type]
            reward_parts={name: torch.tensor([v or 0.0 for v in column]) for name, column in values.items()},  # type: ignore[misc]
            rollout_logprobs=pad_rows([t.logprobs for t in last], torch.float32),  # type: ignore[arg-type]
            entropy=entropy,  # type: ignore[arg-type]
            off_policy=torch.tensor(marks) if any(marks) else None,  # type: ignore[arg-type]
        )

    def right(self) -> Tensor:
        """Rows [B] whose answer was judged correct."""
        return torch.tensor([e.verdicts["correctness"].correct is True for e in self.episodes])

    def eligible(self, batch: RolloutBatch, *, mask_truncated: bool) -> Tensor:
        """Rows [B] that were judged and, if the recipe masks cut-off responses, came to an end; with a greedy baseline
        that was judged.
        """
        rows: Tensor = batch.judged
        if mask_truncated:
            rows = rows & torch.tensor([e.own.finish_reason != "length" for e in self.episodes])
        greedy = self.greedy_rewards(batch)
        return rows if greedy is None else rows & ~torch.isnan(greedy)

    def greedy_rewards(self, batch: RolloutBatch) -> Tensor | None:
        return torch.tensor(self.greedy)[batch.group] if self.greedy else None


def successes(counts: Sequence[int], episodes: Sequence[Episode]) -> list[list[bool]]:
    """For step 5: right or wrong, of every rollout that was judged, by problem, whatever is filtered later."""
    rows = iter(episodes)
    verdicts = [[next(rows).verdicts["correctness"] for _ in range(count)] for count in counts]
    return [[v.correct is True for v in group if v.correct is not None] for group in verdicts]
