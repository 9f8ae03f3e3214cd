"""ReMax: a reward against that of the greedy response to the same prompt (arXiv:2310.10505, algorithm 1).

    A_i = r_i - r(greedy)

Costs one more rollout a prompt, at temperature 0, which takes no part in the loss. Needs no group: a single rollout has
a baseline too. Trap: a prompt that greedy decoding solves pushes every failure down and no success up.
"""

from __future__ import annotations

from torch import Tensor

from reasonrl.algorithms.groups import zero_unjudged


def remax_advantages(rewards: Tensor, group: Tensor, judged: Tensor | None = None, *, greedy_rewards: Tensor) -> Tensor:
    """Advantages [B] from rewards [B] and the reward of the greedy response to each row's prompt, `greedy_rewards` [B];
    `group` is idle.
    """
    return zero_unjudged(rewards - greedy_rewards, judged)
