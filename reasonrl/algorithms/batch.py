"""What the algorithms see of the rollouts of one update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from reasonrl.errors import NotFiniteError


@dataclass(frozen=True)
class RolloutBatch:
    """Flat rows, ragged groups. Tokens are response tokens only, right-padded; `B` rows, `T` the longest response.

    Nothing here is shaped `[prompts, n]`: group sizes differ as soon as a budget or a curriculum is on.

    Raises ValueError for fields of different lengths, masks that contradict each other, and numbers that are not
    finite.
    """

    problem_id: list[str]
    group: Tensor
    """[B] long: ordinal of the row's group, 0..P-1, in any order."""
    tokens: Tensor
    """[B, T] long: response token ids; the padding value has no meaning, read it only through the masks."""
    loss_mask: Tensor
    """[B, T] bool: True where the policy wrote the token and it carries loss."""
    token_mask: Tensor
    """[B, T] bool: True for every real token, tool output included."""
    rewards: Tensor
    """[B] raw reward; its value where `judged` is False has no meaning."""
    judged: Tensor
    """[B] bool: False for a row that could not be judged; it takes part in no baseline and no loss."""
    rollout_logprobs: Tensor
    """[B, T] log-prob of each token when it was sampled, in nats; 0 for tokens of the environment."""
    reward_parts: dict[str, Tensor] = field(default_factory=dict)
    """[B] each part of the reward before its weight; 0 where it could not be judged."""
    entropy: Tensor | None = None
    """[B, T] entropy of the distribution of each token, in nats; only where a method asks for it."""
    off_policy: Tensor | None = None
    """[B] bool: rows that the policy did not draw unaided; None where there are none."""

    def __post_init__(self) -> None:
        rows = len(self.problem_id)
        for name in ("group", "tokens", "loss_mask", "token_mask", "rewards", "judged", "rollout_logprobs"):
            values = cast(Tensor, getattr(self, name))
            if len(values) != rows:
                raise ValueError(f"RolloutBatch.{name} has {len(values)} rows, problem_id has {rows}")
        if bool((self.loss_mask & ~self.token_mask).any()):
            raise ValueError("RolloutBatch.loss_mask is set where token_mask is not: only tokens can carry loss")
        if rows and int(self.group.min()) < 0:
            row = int((self.group < 0).nonzero()[0])
            raise ValueError(f"RolloutBatch.group is {int(self.group[row])} in row {row}; groups are numbered from 0")
        unusable = ~torch.isfinite(self.rollout_logprobs) & self.loss_mask
        if bool(unusable.any()):
            row = int(unusable.any(1).nonzero()[0])
            raise NotFiniteError(
                f"RolloutBatch.rollout_logprobs of row {row} ({self.problem_id[row]}) holds a value that is not a"
                " finite number"
            )
        bad = ~torch.isfinite(self.rewards) & self.judged
        if bool(bad.any()):
            row = int(bad.nonzero()[0])
            raise ValueError(f"the reward of row {row} ({self.problem_id[row]}) is not a finite number")

    @classmethod
    def from_rows(
        cls,
        *,
        problem_id: Sequence[str],
        group: Sequence[int],
        token_ids: Sequence[Sequence[int]],
        loss_mask: Sequence[Sequence[bool]],
        logprobs: Sequence[Sequence[float]],
        rewards: Sequence[float | None],
        reward_parts: Mapping[str, Sequence[float | None]],
        entropy: Tensor | None = None,
        off_policy: Sequence[bool] = (),
    ) -> RolloutBatch:
        """The batch of B ragged rows. A reward of None is one that could not be judged."""
        return cls(
            problem_id=list(problem_id),
            group=torch.tensor(group),
            tokens=pad_rows(token_ids, torch.long),
            loss_mask=pad_rows([[float(m) for m in row] for row in loss_mask], torch.float32).bool(),
            token_mask=length_mask([len(row) for row in token_ids]),
            rewards=torch.tensor([0.0 if reward is None else reward for reward in rewards]),
            judged=torch.tensor([reward is not None for reward in rewards]),
            rollout_logprobs=pad_rows(logprobs, torch.float32),
            reward_parts={name: torch.tensor([v or 0.0 for v in column]) for name, column in reward_parts.items()},
            entropy=entropy,
            off_policy=torch.tensor(off_policy) if any(off_policy) else None,
        )


def pad_rows(rows: Sequence[Sequence[float]], dtype: torch.dtype, value: float = 0) -> Tensor:
    """Right-pad ragged lists to one tensor [B, T] with `value`; T is the longest row, at least 1."""
    width = max([1, *(len(row) for row in rows)])
    out = torch.full((len(rows), width), value, dtype=dtype)
    for i, row in enumerate(rows):
        if row:
            out[i, : len(row)] = torch.tensor(row, dtype=dtype)
    return out


def length_mask(lengths: Sequence[int]) -> Tensor:
    """Boolean mask [B, T] that is True on the first `lengths[b]` places of row b."""
    width = max([*lengths, 1])
    return torch.arange(width)[None, :] < torch.tensor(lengths, dtype=torch.long)[:, None]


def mean_logprobs(batch: RolloutBatch) -> Tensor:
    """[B] mean log-prob of each row's own tokens under the policy that wrote it."""
    return (batch.rollout_logprobs * batch.loss_mask).sum(1) / batch.loss_mask.sum(1).clamp(min=1)
