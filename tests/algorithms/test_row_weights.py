"""Losses over the responses of a prompt, as weights of rows: the gradient is that of the loss itself."""

from __future__ import annotations

import pytest
import torch

from reasonrl.algorithms.batch import RolloutBatch, length_mask
from reasonrl.algorithms.catalogue import LOSSES, ROW_WEIGHT_LOSS
from reasonrl.algorithms.losses.aggregation import token_weights
from reasonrl.algorithms.losses.disco import disco_loss, trust_region
from reasonrl.algorithms.losses.drpo import drpo_loss
from reasonrl.algorithms.losses.row_weights import row_weights
from reasonrl.algorithms.losses.token_loss import token_loss
from reasonrl.algorithms.losses.trpa import trpa_loss


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.level == "group"])
def test_the_gradient_is_that_of_the_loss(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    mask, group = length_mask([3, 1, 4, 2, 4, 3]), torch.tensor([0, 1, 0, 1, 1, 2])
    correct = torch.tensor([True, False, False, True, True, True])
    trainable = torch.tensor([True, True, True, True, True, False])
    old = -torch.rand(6, 4, generator=generator)
    logprobs = (old - 0.3 * torch.rand(6, 4, generator=generator)).requires_grad_(True)
    reference = old - 0.1
    batch = RolloutBatch(
        problem_id=list("abcdef"),
        group=group,
        tokens=torch.zeros(6, 4, dtype=torch.long),
        loss_mask=mask,
        token_mask=mask,
        rewards=correct.float(),
        judged=trainable,
        rollout_logprobs=old,
    )

    def mean(values: torch.Tensor) -> torch.Tensor:
        return ((values * mask).sum(1) / mask.sum(1))[trainable].double()

    scores, groups = mean(logprobs), group[trainable]
    if name == "trpa":
        direct = trpa_loss(scores - mean(reference), correct[trainable].float(), groups)
    elif name == "drpo":
        direct = drpo_loss(scores, correct[trainable], groups, mask.sum(1)[trainable], max_length=4)
        direct = direct + trust_region(scores, mean(old))
    else:
        direct = disco_loss(scores, correct[trainable], groups) + trust_region(scores, mean(old))
    (expected,) = torch.autograd.grad(direct, logprobs)

    weights = row_weights(
        name,
        batch,
        trainable,
        correct,
        logprobs=logprobs.detach(),
        old_logprobs=old,
        ref_logprobs=reference,
        max_length=4,
        best_reward=1.0,
    )
    aggregation = LOSSES[name].aggregation
    assert aggregation == "sequence_mean"
    token_shares = token_weights(mask & trainable[:, None], aggregation, 4)
    losses, _ = token_loss(ROW_WEIGHT_LOSS, logprobs, old, weights[:, None].expand(6, 4), mask)
    (gradient,) = torch.autograd.grad((token_shares * losses).sum(), logprobs)
    torch.testing.assert_close(gradient, expected.to(gradient.dtype), atol=1e-5, rtol=1e-4)
    assert bool((gradient[5] == 0).all())
