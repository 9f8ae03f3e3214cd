"""The unlikeliness reward: among the right answers of a group, the less likely ones earn more (arXiv:2506.02355,
section 4).

    rank_i = place of row i in its group by mean token log-prob under the policy that wrote it; 0 = least likely, G - 1
    = most likely
    r_i   <- r_i * (1 - beta * rank_i / G)                                                        for r_i > 0

GRPO sharpens: it lifts what is already likely, so pass@k falls for large k. This lifts the rare right answer. The
authors' code (AndreHe02/rewarding-unlikely-release) ranks by the *mean* log-prob of a row, all rows of the group ranked
together, right and wrong. Ours differs where theirs leaves room: equal log-probs share their mean rank, so equal
responses earn the same; a reward of 0 or below stays (scaling a penalty would favour likely failures).

Trap: in a group that is solved throughout, the ranks alone make advantages from nothing. Drop such groups by their raw
reward first, as the authors do; the trainer does, since a group counts as silent by its raw rewards. How sure: formula
from the paper and the code, which agree; beta 0.25, 2 epochs per batch, KL 0.1 from their script.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reasonrl.algorithms.groups import group_size, real


def unlikeliness_rewards(
    rewards: Tensor, mean_logprobs: Tensor, group: Tensor, *, beta: float = 0.25, judged: Tensor | None = None
) -> Tensor:
    """Shaped rewards [B].

    Args:
        rewards: [B] raw rewards; NaN is allowed where not judged.
        mean_logprobs: [B] mean log-prob of each response's tokens under the policy that wrote it.
        group: [B] group ordinals.
        beta: how much less the most likely right answer earns, at most; in [0, 1].
        judged: [B] rows that are ranked (None: all); the others keep their reward.

    Raises:
        ValueError: beta outside [0, 1], or a log-prob of a judged row that is not a number.
    """
    if not 0 <= beta <= 1:
        raise ValueError(f"unlikeliness: beta is {beta}; it must be in [0, 1]")
    rewards = rewards.to(real(rewards))
    ranks = group_ranks(mean_logprobs, group, judged)
    size = group_size(group, judged).clamp(min=1).to(rewards.dtype)
    shaped = rewards * (1 - beta * ranks.to(rewards.dtype) / size)
    counts = rewards > 0 if judged is None else (rewards > 0) & judged
    return torch.where(counts, shaped, rewards)


def group_ranks(values: Tensor, group: Tensor, keep: Tensor | None = None) -> Tensor:
    """Ascending ranks [B] from 0 inside each group; equal values share the mean of their ranks. Rows not kept have rank
    0.

    Raises ValueError for a kept value that is not a number.
    """
    rows = torch.arange(len(values), device=values.device) if keep is None else keep.nonzero()[:, 0]
    ranked, row_group = values[rows].double(), group[rows]
    if bool(torch.isnan(ranked).any()):
        raise ValueError(f"row {int(rows[torch.isnan(ranked)][0])}: the value to rank by is not a number")
    by_value = torch.argsort(ranked, stable=True)
    order = by_value[torch.argsort(row_group[by_value], stable=True)]
    ranked, row_group = ranked[order], row_group[order]
    place = torch.arange(len(order), device=values.device)
    first = torch.ones(len(order), dtype=torch.bool, device=values.device)
    first[1:] = row_group[1:] != row_group[:-1]
    rank = place - torch.cummax(torch.where(first, place, torch.zeros_like(place)), 0).values
    run = torch.cumsum((first | torch.cat([first[:1], ranked[1:] != ranked[:-1]])).long(), 0) - 1
    sums = torch.zeros(len(order), dtype=torch.float64, device=values.device).index_add(0, run, rank.double())
    counts = torch.zeros(len(order), dtype=torch.float64, device=values.device).index_add(
        0, run, torch.ones_like(ranked)
    )
    out = torch.zeros(len(values), dtype=torch.float64, device=values.device)
    out[rows[order]] = (sums / counts.clamp(min=1))[run]
    return out
