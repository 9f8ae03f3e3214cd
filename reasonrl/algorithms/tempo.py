"""TEMPO: credit for single tokens from the prefix tree of a group (arXiv:2509.18314, section 3), without a value model
or extra rollouts.

    D(s)   = rows of the group that begin with the prefix s
    V(s)   = mean of r over D(s); V of the empty prefix is the group's mean
    A[i,t] = ( r_i - mean_g(r) + V(o_i[:t+1]) - V(o_i[:t]) ) / ( std_g(r) + eps )

The first two terms are GRPO (Dr. GRPO without the division); the last two are a temporal difference that is not 0 only
at a token where the rows of a prefix part: a branch. There, and only there, TEMPO says which of the ways on did better.

Agrees with the authors' code (fatebreaker/tempo) except, on purpose: the tree sees real tokens only, where theirs takes
padding for a token; a group of one is GRPO's (A = r), where theirs is nan. A row that ends where others continue
belongs to the mean of that prefix. Cost: each token is looked at a bounded number of times, however the tree branches;
nothing once a row is alone. How sure: formula read in the authors' code and run against it; constants (7 rollouts, clip
0.2 / 0.28, no KL) from their script. Criticism worth knowing: long thinking traces part early, so most of their tokens
get GRPO's advantage.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reasonrl.algorithms.advantages.dr_grpo import dr_grpo_advantages
from reasonrl.algorithms.advantages.grpo import grpo_advantages
from reasonrl.algorithms.groups import group_size, group_std, real

FIRST_WINDOW = 32

Rows = NDArray[np.intp]


def tempo_advantages(
    tokens: Tensor,
    mask: Tensor,
    rewards: Tensor,
    group: Tensor,
    *,
    norm_by_std: bool = True,
    eps: float = 1e-6,
    judged: Tensor | None = None,
    token_mask: Tensor | None = None,
) -> Tensor:
    """GRPO and tree term together, [B, T]; 0 where `mask` is False.

    Args:
        tokens: [B, T] response token ids, right-padded with anything.
        mask: [B, T] True where the policy wrote the token: there the advantages go.
        rewards: [B] shaped or raw rewards; may be NaN where not judged.
        group: [B] group ordinals 0..P-1, groups of any sizes in any order.
        norm_by_std: divide by the group's unbiased deviation (GRPO); False leaves it out (Dr. GRPO).
        judged: [B] rows that have a reward (None: all); the others get 0 and take no part in means.
        token_mask: [B, T] real tokens, tool output included: the tree. None: up to the last True of `mask` in each row.

    Raises:
        ValueError: shapes that do not fit, or a judged reward that is not finite.
    """
    if tokens.shape != mask.shape or rewards.shape != group.shape or len(rewards) != len(tokens):
        raise ValueError(
            f"tempo: tokens {list(tokens.shape)}, mask {list(mask.shape)}, rewards {list(rewards.shape)}, group"
            f" {list(group.shape)}"
        )
    rewards = rewards.to(real(rewards))
    keep = torch.ones_like(group, dtype=torch.bool) if judged is None else judged
    base = (
        grpo_advantages(rewards, group, keep, eps=eps) if norm_by_std else dr_grpo_advantages(rewards, group, keep)
    )[:, None]
    scale = group_std(rewards, group, keep) + eps if norm_by_std else torch.ones_like(rewards)
    return add_tree_term(
        base.repeat(1, tokens.shape[1]), scale, tokens, mask, rewards, group, judged=keep, token_mask=token_mask
    )


def add_tree_term(
    base: Tensor,
    scale: Tensor,
    tokens: Tensor,
    mask: Tensor,
    rewards: Tensor,
    group: Tensor,
    *,
    judged: Tensor,
    token_mask: Tensor | None = None,
) -> Tensor:
    """`base` [B, T] plus (V(child) - V(parent)) / `scale` [B] at every branching token: TEMPO's credit on any group
    baseline. Writes into `base`. Other arguments and errors as in `tempo_advantages`.
    """
    if not bool(torch.isfinite(rewards[judged]).all()):
        raise ValueError("tempo: a judged reward is not a finite number")
    lengths = _lengths(mask if token_mask is None else token_mask)
    ids, worth = tokens.cpu().numpy(), torch.where(judged, rewards, torch.nan).double().cpu().numpy()
    rate = (judged / scale.double()).cpu()
    for rows in _groups(group, judged, rewards):
        for column, members, difference in _branches(ids, lengths, worth, rows):
            index = torch.from_numpy(members)
            base[index, column] += (difference * rate[index]).to(base)
    return base * mask


def _lengths(mask: Tensor) -> NDArray[np.int64]:
    """[B] one more than the last True of each row."""
    positions = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    return (mask * positions).amax(1).cpu().numpy() if mask.shape[1] else np.zeros(len(mask), dtype=np.int64)


def _groups(group: Tensor, keep: Tensor, rewards: Tensor) -> Iterator[Rows]:
    """Rows of each group in which rewards differ: in the others every V is the same."""
    speaks = (group_std(rewards, group, keep) > 0) & (group_size(group, keep) > 1)
    rows = np.flatnonzero(speaks.cpu().numpy())
    row_group = group.cpu().numpy()[rows]
    order = np.argsort(row_group, kind="stable")
    starts = np.flatnonzero(np.diff(row_group[order])) + 1
    yield from (part for part in np.split(rows[order], starts) if len(part))


def _branches(
    ids: NDArray[np.int64], lengths: NDArray[np.int64], worth: NDArray[np.float64], rows: Rows
) -> Iterator[tuple[int, Rows, float]]:
    """(column, rows, V(child) - V(parent)) of each token by which `rows` of one group part. `worth` is NaN for rows
    without a reward.
    """
    stack = [(rows, 0)]
    while stack:
        members, depth = stack.pop()
        if len(members) < 2:
            continue
        column = _parting(ids, lengths, members, depth)
        going_on = members[lengths[members] > column]
        if not len(going_on):
            continue
        parent = _mean(worth[members])
        next_tokens, inverse = np.unique(ids[going_on, column], return_inverse=True)
        for token in range(len(next_tokens)):
            child = going_on[inverse == token]
            difference = _mean(worth[child]) - parent
            if np.isfinite(difference) and difference != 0:  # a child, or a parent, without any reward says nothing
                yield column, child, float(difference)
            stack.append((child, column + 1))


def _parting(ids: NDArray[np.int64], lengths: NDArray[np.int64], members: Rows, depth: int) -> int:
    """The first column from `depth` on in which not all members have the same token. Windows grow, so it looks at most
    twice as far.
    """
    end, width = int(lengths[members].min()), FIRST_WINDOW
    while depth < end:
        upto = min(end, depth + width)
        block = ids[members, depth:upto]
        differs = (block[1:] != block[0]).any(axis=0)
        if differs.any():
            return depth + int(differs.argmax())
        depth, width = upto, 2 * width
    return end


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
