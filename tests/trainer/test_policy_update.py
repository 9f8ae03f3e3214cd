"""The gradient of an update does not depend on how it is cut up, packed, or on rows that can move nothing."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
import torch

from reasonrl.algorithms.batch import length_mask
from reasonrl.algorithms.losses import objective
from reasonrl.algorithms.losses.aggregation import token_weights
from reasonrl.algorithms.losses.objective import Objective, UpdateTensors
from reasonrl.errors import TrainingError
from reasonrl.models import tiny
from reasonrl.models.logprobs import TokenRow, response_logprobs
from reasonrl.trainer.policy_update import (
    ForwardPass,
    UpdateBatch,
    UpdateTotals,
    accumulate_gradients,
    score_rows,
)

FORWARD = ForwardPass(temperature=1.0, packing="tree", positions_per_micro_batch=512)


def model() -> Any:
    return tiny.build_model(0, torch.float32).eval()


def update_rows(
    subject: Any, aggregation: str = "token_mean", *, silent: bool = True, old: bool = True, reference: bool = True
) -> UpdateBatch:
    """Three groups of four ragged responses; the advantages of the middle group are all zero."""
    source = random.Random(0)
    prompts = [[source.randint(3, 20) for _ in range(source.randint(2, 9))] for _ in range(3)]
    rows = [TokenRow(prompts[i // 4], [source.randint(3, 9) for _ in range(source.randint(1, 7))]) for i in range(12)]
    mask = length_mask([len(row.response) for row in rows])
    advantages = torch.tensor([source.uniform(-1, 1) for _ in rows])
    if silent:
        advantages[4:8] = 0
    with torch.no_grad():
        scored = response_logprobs(subject, rows).logprobs
    noise = torch.Generator().manual_seed(1)
    tensors = UpdateTensors(
        advantages[:, None] * mask,
        token_weights(mask, aggregation, 8),  # type: ignore[arg-type]
        scored,
        scored + 0.3 * torch.randn(scored.shape, generator=noise) * mask if old else None,
        scored + 0.3 * torch.randn(scored.shape, generator=noise) * mask if reference else None,
    )
    return UpdateBatch(rows, tensors)


def changed(batch: UpdateBatch, **tensors: Any) -> UpdateBatch:
    return UpdateBatch(batch.rows, dataclasses.replace(batch.tensors, **tensors))


def gradient(
    subject: Any, batch: UpdateBatch, packing: Any = "tree", *, positions: int = 512, skip: bool = True, **settings: Any
) -> tuple[torch.Tensor, UpdateTotals]:
    subject.zero_grad(set_to_none=True)
    totals, forward = UpdateTotals(), ForwardPass(1.0, packing, positions)
    assert accumulate_gradients(subject, batch, Objective(**settings), forward, totals, skip_silent_rows=skip)
    return torch.cat([p.grad.flatten() for p in subject.parameters()]), totals


def assert_close(made: torch.Tensor, expected: torch.Tensor, relative: float) -> None:
    assert float((made - expected).norm()) <= relative * float(expected.norm())
    assert float(expected.norm()) > 1e-4


@pytest.mark.parametrize("aggregation", ["token_mean", "sequence_mean", "sequence_sum"])
def test_the_size_of_micro_batches_does_not_matter(aggregation: str) -> None:
    subject = model()
    batch = update_rows(subject, aggregation)
    kl: dict[str, Any] = {"kl_coefficient": 0.05, "kl_estimator": "k3"}
    whole, measured = gradient(subject, batch, positions=4096, **kl)
    for positions in (8, 64):
        for packing in ("tree", "rows"):
            cut, again = gradient(subject, batch, packing, positions=positions, **kl)
            assert_close(cut, whole, 1e-5 if packing == "rows" else 2e-6)
            for field in dataclasses.fields(measured):
                if field.name != "positions":
                    assert getattr(again, field.name) == pytest.approx(
                        getattr(measured, field.name), rel=1e-4, abs=1e-4
                    ), field.name


@pytest.mark.parametrize("aggregation", ["token_mean", "sequence_mean"])
def test_silent_groups_cost_nothing_and_change_nothing(aggregation: str) -> None:
    subject = model()
    batch = update_rows(subject, aggregation, reference=False)
    skipped, few = gradient(subject, batch, skip=True)
    computed, all_of_them = gradient(subject, batch, skip=False)
    assert_close(skipped, computed, 2e-6)
    assert few.rows == 8
    assert all_of_them.rows == 12
    assert few.positions < all_of_them.positions


def test_a_kl_term_keeps_silent_groups() -> None:
    subject = model()
    batch = update_rows(subject)
    _, measures = gradient(subject, batch, kl_coefficient=0.1)
    assert measures.rows == 12
    assert measures.kl > 0
    assert measures.kl_loss != 0


def test_nothing_to_learn_is_no_step_with_and_without_skipping() -> None:
    subject = model()
    batch = update_rows(subject, reference=False)
    silent = changed(batch, advantages=torch.zeros_like(batch.tensors.advantages))
    for skip in (True, False):
        measures = UpdateTotals()
        assert not accumulate_gradients(subject, silent, Objective(), FORWARD, measures, skip_silent_rows=skip)
        assert (measures.positions == 0) == skip


def test_on_policy_needs_no_old_logprobs() -> None:
    subject = model()
    batch = update_rows(subject, old=False, reference=False)
    shortcut, measures = gradient(subject, batch)
    explicit = changed(batch, old_logprobs=score_rows(subject, batch.rows, FORWARD))
    expected, _ = gradient(subject, explicit)
    assert_close(shortcut, expected, 1e-5)
    assert measures.clipped == 0
    # and both are REINFORCE with the same weights
    subject.zero_grad(set_to_none=True)
    made = response_logprobs(subject, batch.rows).logprobs
    (-(batch.tensors.weights * batch.tensors.advantages * made).sum()).backward()
    assert_close(shortcut, torch.cat([p.grad.flatten() for p in subject.parameters()]), 1e-5)


def test_kl_in_the_loss_is_the_formula() -> None:
    subject = model()
    batch = update_rows(subject, old=False)
    plain, _ = gradient(subject, changed(batch, ref_logprobs=None))
    with_kl, measures = gradient(subject, batch, kl_coefficient=0.5, kl_estimator="k2")
    subject.zero_grad(set_to_none=True)
    made = response_logprobs(subject, batch.rows).logprobs
    term = 0.5 * (batch.tensors.weights * 0.5 * (made - batch.tensors.ref_logprobs) ** 2).sum()
    term.backward()
    expected = plain + torch.cat([p.grad.flatten() for p in subject.parameters()])
    assert_close(with_kl, expected, 1e-5)
    assert measures.kl_loss == pytest.approx(float(term.detach()), rel=1e-4)


def test_an_entropy_bonus_is_the_formula_and_keeps_silent_groups() -> None:
    subject = model()
    batch = update_rows(subject, old=False, reference=False)
    plain, _ = gradient(subject, batch)
    with_bonus, measures = gradient(subject, batch, entropy_coefficient=0.3)
    assert measures.rows == 12
    subject.zero_grad(set_to_none=True)
    made = response_logprobs(subject, batch.rows, entropy_gradient=True)
    bonus = 0.3 * (batch.tensors.weights * made.entropy).sum()
    (-bonus).backward()
    assert_close(with_bonus, plain + torch.cat([p.grad.flatten() for p in subject.parameters()]), 1e-5)
    assert measures.entropy_loss == pytest.approx(-float(bonus.detach()), rel=1e-4)


def test_a_loss_that_is_no_number_stops_before_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = model()
    batch = update_rows(subject, old=False, reference=False)
    before = [p.detach().clone() for p in subject.parameters()]
    real = objective.token_loss

    def broken(*arguments: Any, **more: Any) -> Any:
        loss, active = real(*arguments, **more)
        return loss * float("nan"), active

    monkeypatch.setattr(objective, "token_loss", broken)
    with pytest.raises(TrainingError, match="the loss is nan on 8 rows"):
        gradient(subject, batch)
    assert all(torch.equal(a, b) for a, b in zip(before, subject.parameters(), strict=True))
