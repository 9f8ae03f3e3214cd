"""Dr. GRPO: a reward against its own group, without the division by the deviation (arXiv:2503.20783, section 3.2).

    A_i = r_i - mean_g(r)

The other half of Dr. GRPO is the loss, whose sum over tokens is divided by a constant instead of the length of each
response: `loss_aggregation: sequence_sum`. A recipe that asks for `advantage: dr_grpo` gets that loss unless it names
another.
"""

from __future__ import annotations

from torch import Tensor

from reasonrl.algorithms.groups import group_baseline


def dr_grpo_advantages(rewards: Tensor, group: Tensor, judged: Tensor | None = None) -> Tensor:
    """Advantages [B] from rewards [B], group ordinals [B] and the mask of judged rows [B] (None: all). A group of one:
    see grpo.
    """
    advantages = rewards - group_baseline(rewards, group, judged)
    return advantages if judged is None else advantages.where(judged, advantages.new_zeros(()))
