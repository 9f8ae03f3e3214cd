"""Losses over groups, as weights of rows: the gradient is that of the loss itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import yaml

from reasonrl.algorithms.batch import RolloutBatch, length_mask
from reasonrl.algorithms.losses import token_loss
from reasonrl.algorithms.losses.aggregation import token_weights
from reasonrl.algorithms.losses.disco import disco_loss, trust_region
from reasonrl.algorithms.losses.drpo import drpo_loss
from reasonrl.algorithms.losses.trpa import trpa_loss
from reasonrl.recipe.reading import parse_recipe
from reasonrl.trainer.group_losses import row_advantages
from tests.tiny_runs import tiny


@pytest.mark.parametrize("name", ["disco", "drpo", "trpa"])
def test_the_gradient_is_that_of_the_loss(name: str) -> None:
    (recipe,) = parse_recipe(yaml.safe_dump(tiny(train={"loss": name})), "test").stages
    generator = torch.Generator().manual_seed(0)
    lengths = [3, 1, 4, 2, 4, 3]
    mask, group = length_mask(lengths), torch.tensor([0, 1, 0, 1, 1, 2])
    right = torch.tensor([True, False, False, True, True, True])
    usable = torch.tensor([True, True, True, True, True, False])
    old = -torch.rand(6, 4, generator=generator)
    logprobs = (old - 0.3 * torch.rand(6, 4, generator=generator)).requires_grad_(True)
    reference = old - 0.1
    batch = RolloutBatch(
        problem_id=list("abcdef"), group=group, role=["policy"] * 6, tokens=torch.zeros(6, 4, dtype=torch.long),  # type: ignore[arg-type]
        loss_mask=mask, token_mask=mask, rewards=right.float(), judged=usable,  # type: ignore[arg-type]
    )  # fmt: skip

    def mean(values: torch.Tensor) -> Any:
        return ((values * mask).sum(1) / mask.sum(1))[usable].double()

    rows, kept = mean(logprobs), group[usable]
    if name == "trpa":
        direct = trpa_loss(rows - mean(reference), right[usable].float(), kept)
    elif name == "drpo":
        direct = drpo_loss(rows, right[usable], kept, mask.sum(1)[usable], max_length=4) + trust_region(rows, mean(old))
    else:
        direct = disco_loss(rows, right[usable], kept) + trust_region(rows, mean(old))
    (expected,) = torch.autograd.grad(direct, logprobs)

    worth = row_advantages(recipe, batch, usable, right, logprobs.detach(), old, reference)
    weights = token_weights(mask & usable[:, None], recipe.loss_aggregation, 4)
    losses, _ = token_loss("reinforce", logprobs, old, worth[:, None].expand(6, 4), mask)
    (made,) = torch.autograd.grad((weights * losses).sum(), logprobs)
    torch.testing.assert_close(made, expected.to(made.dtype), atol=1e-5, rtol=1e-4)
    assert recipe.loss_aggregation == "sequence_mean" and bool((made[5] == 0).all())
