"""GDPO: each part of the reward is normalised on its own before they are added up (arXiv:2601.05242, eq. 4 to 6).

    A_i = whiten( sum_k w_k * (r_k - mean_g(r_k)) / (std_g(r_k) + eps) )

Summed first, two parts of different size collapse: (1, 0) and (0, 1) look the same, and a part with a small spread goes
under. The last whitening runs over the tokens of the batch, as in verl 0.9.1. With a single part this is GRPO,
whitened.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from reasonrl.algorithms.advantages.grpo import grpo_advantages
from reasonrl.algorithms.groups import whiten_over_tokens, zero_unjudged


def gdpo_advantages(
    rewards: Tensor,
    group: Tensor,
    judged: Tensor | None = None,
    *,
    lengths: Tensor,
    reward_parts: Mapping[str, Tensor],
    part_weights: Mapping[str, float],
    eps: float = 1e-6,
) -> Tensor:
    """Advantages [B] from the parts of the reward, each [B]; `lengths` [B] loss tokens a row; `rewards` gives only the
    shape.

    Raises ValueError for a part without a weight.
    """
    missing = [name for name in reward_parts if name not in part_weights]
    if missing:
        raise ValueError(f"gdpo: no weight for the reward part {missing[0]!r}")
    total = torch.zeros_like(rewards)
    for name, values in reward_parts.items():
        total = total + part_weights[name] * grpo_advantages(values, group, judged, eps=eps)
    return zero_unjudged(whiten_over_tokens(total, lengths, judged), judged)
