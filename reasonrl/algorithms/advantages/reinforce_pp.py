"""REINFORCE++ (arXiv:2501.03262): whitened over the tokens of the whole batch, without a group baseline or with one.

    plain      A_i = whiten(r)_i               every token carries the return of its response (gamma = 1, reward at the
               end)
    baseline   A_i = whiten(r - mean_g(r))_i

    whiten(x) = (x - mean) / sqrt(var + 1e-8)  mean and unbiased variance over tokens: a long response weighs more than
                                               a short one

As verl 0.9.1 computes it. Trap: without the baseline a batch of hard prompts makes every success of it look good,
whatever its prompt.
"""

from __future__ import annotations

from torch import Tensor

from reasonrl.algorithms.groups import group_baseline, whiten_over_tokens, zero_unjudged


def reinforce_pp_advantages(rewards: Tensor, group: Tensor, judged: Tensor | None = None, *, lengths: Tensor) -> Tensor:
    """Advantages [B] from rewards [B] and loss tokens a row, `lengths` [B]. `group` plays no part."""
    return zero_unjudged(whiten_over_tokens(rewards, lengths, judged), judged)


def reinforce_pp_baseline_advantages(
    rewards: Tensor, group: Tensor, judged: Tensor | None = None, *, lengths: Tensor
) -> Tensor:
    """Advantages [B] from rewards [B], group ordinals [B] and loss tokens a row, `lengths` [B]."""
    centred = rewards - group_baseline(rewards, group, judged)
    return zero_unjudged(whiten_over_tokens(centred, lengths, judged), judged)
