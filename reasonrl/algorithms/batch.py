"""What the algorithms see of the rollouts of one update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import BoolTensor, FloatTensor, LongTensor, Tensor


@dataclass(frozen=True)
class RolloutBatch:
    """Flat rows, ragged groups. Tokens are response tokens only, right-padded; `B` rows, `T` the longest response.

    Nothing here is shaped `[prompts, n]`: group sizes differ as soon as a budget or a curriculum is on.
    """

    problem_id: list[str]
    group: LongTensor
    """[B] ordinal of the row's group, 0..P-1, in any order."""
    role: list[str]
    tokens: LongTensor
    """[B, T] response token ids; the padding value has no meaning, read it only through the masks."""
    loss_mask: BoolTensor
    """[B, T] True where the policy wrote the token and it carries loss."""
    token_mask: BoolTensor
    """[B, T] True for every real token, tool output included."""
    rewards: FloatTensor
    """[B] raw reward; its value where `judged` is False has no meaning."""
    judged: BoolTensor
    """[B] False for a row that could not be judged or is masked (cut off): it takes part in no baseline and no loss."""
    reward_parts: dict[str, FloatTensor] = field(default_factory=dict)
    rollout_logprobs: FloatTensor | None = None
    old_logprobs: FloatTensor | None = None
    ref_logprobs: FloatTensor | None = None
    entropy: FloatTensor | None = None
    off_policy: BoolTensor | None = None

    def __post_init__(self) -> None:
        rows = len(self.problem_id)
        for name in ("group", "tokens", "loss_mask", "token_mask", "rewards", "judged"):
            values = cast(Tensor, getattr(self, name))
            if len(values) != rows:
                raise ValueError(f"RolloutBatch.{name} has {len(values)} rows, problem_id has {rows}")
        if bool((self.loss_mask & ~self.token_mask).any()):
            raise ValueError("RolloutBatch.loss_mask is set where token_mask says there is no token")
        if rows and int(self.group.min()) < 0:
            row = int((self.group < 0).nonzero()[0])
            raise ValueError(f"RolloutBatch.group is {int(self.group[row])} in row {row}; groups are numbered from 0")
        for name in ("rollout_logprobs", "old_logprobs", "ref_logprobs"):
            values = getattr(self, name)
            if values is not None and bool((~torch.isfinite(values) & self.loss_mask).any()):
                row = int((~torch.isfinite(values) & self.loss_mask).any(1).nonzero()[0])
                raise ValueError(
                    f"RolloutBatch.{name} of row {row} ({self.problem_id[row]}) holds a value that is not a finite"
                    " number"
                )
        bad = ~torch.isfinite(self.rewards) & self.judged
        if bool(bad.any()):
            raise ValueError(
                f"the reward of row {int(bad.nonzero()[0])} ({self.problem_id[int(bad.nonzero()[0])]}) is not a finite"
                " number"
            )


def pad_rows(rows: Sequence[Sequence[float]], dtype: torch.dtype, value: float = 0) -> torch.Tensor:
    """Right-pad ragged lists to one tensor [B, T] with `value`; T is the longest row, at least 1."""
    width = max([1, *(len(row) for row in rows)])
    out = torch.full((len(rows), width), value, dtype=dtype)
    for i, row in enumerate(rows):
        if row:
            out[i, : len(row)] = torch.tensor(row, dtype=dtype)
    return out


def length_mask(lengths: list[int]) -> BoolTensor:
    """Boolean mask [B, T] that is True on the first `lengths[b]` places of row b."""
    width = max([*lengths, 1])
    return torch.arange(width)[None, :] < torch.tensor(lengths, dtype=torch.long)[:, None]  # type: ignore[return-value]
