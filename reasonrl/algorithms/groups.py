"""Means and deviations inside ragged groups, the ground under every group-relative advantage.

`keep` excludes rows that could not be judged: a row that has no reward takes no part in a baseline.

Sums are float64. The mean of seven rewards of 1.1 would else be off by one rounding, and that, divided by a deviation
of nearly 0, is an advantage of 0.1 for a whole group that has nothing to teach.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def real(values: Tensor) -> torch.dtype:
    """The dtype of results: that of the values, or float32 for rewards that were given as integers."""
    return values.dtype if values.is_floating_point() else torch.float32


def _sums(values: Tensor, group: Tensor, keep: Tensor | None) -> tuple[Tensor, Tensor]:
    count = int(group.max()) + 1 if len(group) else 0
    values = values.double()
    weight = torch.ones_like(values) if keep is None else keep.double()
    # where, not a product: a row without a reward may hold NaN, and 0 * NaN is NaN
    counted = values if keep is None else torch.where(keep, values, torch.zeros_like(values))
    zeros = torch.zeros(count, dtype=torch.float64, device=values.device)
    return zeros.index_add(0, group, counted), zeros.index_add(0, group, weight)


def group_mean(values: Tensor, group: Tensor, keep: Tensor | None = None) -> Tensor:
    """Mean of `values` [B] over each group, one value a row [B]; 0 for a group with no kept row."""
    total, count = _sums(values, group, keep)
    return (total / count.clamp(min=1))[group].to(real(values))


def group_size(group: Tensor, keep: Tensor | None = None) -> Tensor:
    """Number of kept rows in the group of each row, [B] float."""
    return _sums(torch.ones(len(group), device=group.device), group, keep)[1][group].float()


def group_std(values: Tensor, group: Tensor, keep: Tensor | None = None) -> Tensor:
    """Unbiased (n-1) deviation in each group, one value a row [B]; 0 for groups of fewer than two kept rows."""
    centred = values - group_mean(values, group, keep)
    total, count = _sums(centred**2, group, keep)
    return torch.sqrt(total / (count - 1).clamp(min=1))[group].to(real(values))


def group_baseline(values: Tensor, group: Tensor, keep: Tensor | None = None) -> Tensor:
    """The group mean [B], and 0 for a group with a single kept row: a reward cannot be its own baseline (as in
    verl).
    """
    return group_mean(values, group, keep).where(
        group_size(group, keep) > 1, torch.zeros((), dtype=real(values), device=values.device)
    )


def zero_unjudged(advantages: Tensor, judged: Tensor | None) -> Tensor:
    """Advantages [B] with exactly 0 where a row was not judged."""
    return advantages if judged is None else advantages.where(judged, advantages.new_zeros(()))


def whiten_over_tokens(values: Tensor, lengths: Tensor, keep: Tensor | None = None) -> Tensor:
    """(x - mean) / sqrt(var + 1e-8) of `values` [B], each counted once for every of its `lengths` [B] tokens; unbiased
    variance.

    With fewer than two tokens there is no variance: the values come back centred.
    """
    weight = lengths.double() if keep is None else lengths.double() * keep
    counted = values.double() if keep is None else torch.where(keep, values, torch.zeros_like(values)).double()
    count = weight.sum()
    mean = (weight * counted).sum() / count.clamp(min=1)
    centred = counted - mean
    if count < 2:
        return centred.to(real(values))
    variance = (weight * centred**2).sum() / (count - 1)
    return (centred * torch.rsqrt(variance + 1e-8)).to(real(values))


@dataclass(frozen=True)
class GroupMix:
    """How many groups can teach something. A group is `mixed` when its judged rewards differ."""

    total: int
    mixed: int
    all_correct: int
    all_wrong: int
    unjudged: int
    """Groups of which no row was judged."""


def group_mix(rewards: Tensor, correct: Tensor, group: Tensor, judged: Tensor) -> GroupMix:
    """Count groups by what they can teach. `rewards` [B], `correct` [B] bool, `group` [B], `judged` [B] bool.

    A group whose rewards are equal is `all_correct` or `all_wrong` by the correctness of its judged rows; one whose
    rewards are equal though its answers differ (a weight of 0, say) counts as neither.
    """
    count = int(group.max()) + 1 if len(group) else 0
    mixed = right = wrong = unjudged = 0
    for g in range(count):
        rows = (group == g) & judged
        if int(rows.sum()) == 0:
            unjudged += 1
            continue
        values, answers = rewards[rows], correct[rows]
        if float(values.max() - values.min()) > 0:
            mixed += 1
        elif bool(answers.all()):
            right += 1
        elif not bool(answers.any()):
            wrong += 1
    return GroupMix(count, mixed, right, wrong, unjudged)
