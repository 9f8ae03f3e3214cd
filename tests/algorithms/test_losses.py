"""The clipped surrogate against its formula, its gradient against REINFORCE, and the weights of tokens."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.algorithms.batch import RolloutBatch, length_mask, pad_rows
from reasonrl.algorithms.losses.aggregation import token_weights
from reasonrl.algorithms.losses.critique_grpo import critique_grpo_loss
from reasonrl.algorithms.losses.ppo_clip import ppo_clip_loss
from reasonrl.algorithms.losses.token_loss import token_loss
from reasonrl.algorithms.losses.trpa import trpa_loss

numbers = st.floats(-3, 3, width=32)


@given(
    new=numbers,
    old=numbers,
    advantage=numbers,
    low=st.floats(0.05, 0.9),
    high=st.floats(0.05, 2),
    dual=st.none() | st.floats(1.5, 5),
)
def test_loss_is_the_formula(
    new: float, old: float, advantage: float, low: float, high: float, dual: float | None
) -> None:
    loss, active = ppo_clip_loss(
        torch.tensor([new]),
        torch.tensor([old]),
        torch.tensor([advantage]),
        clip_low=low,
        clip_high=high,
        dual_clip=dual,
    )
    ratio = math.exp(new - old)
    clipped = min(max(ratio, 1 - low), 1 + high)
    expected = -min(ratio * advantage, clipped * advantage)
    if dual is not None and advantage < 0:
        expected = min(expected, -dual * advantage)
    assert float(loss) == pytest.approx(expected, rel=1e-4, abs=1e-4)
    if abs(ratio - 1 - high) > 1e-4 and abs(ratio - 1 + low) > 1e-4 and abs(advantage) > 1e-3:
        assert bool(active) == ((ratio > 1 + high and advantage > 0) or (ratio < 1 - low and advantage < 0))


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=8))
def test_at_ratio_one_the_gradient_is_that_of_reinforce(rows: list[tuple[float, float]]) -> None:
    logprobs = torch.tensor([row[0] for row in rows], requires_grad=True)
    advantages = torch.tensor([row[1] for row in rows])
    loss, active = ppo_clip_loss(logprobs, logprobs.detach(), advantages)
    (gradient,) = torch.autograd.grad(loss.sum(), logprobs)
    torch.testing.assert_close(gradient, -advantages)
    assert not bool(active.any())


def test_a_clipped_token_has_no_gradient() -> None:
    logprobs = torch.tensor([1.0, -1.0, 1.0, -1.0], requires_grad=True)
    advantages = torch.tensor([1.0, -1.0, -1.0, 1.0])
    loss, active = ppo_clip_loss(logprobs, torch.zeros(4), advantages)
    (gradient,) = torch.autograd.grad(loss.sum(), logprobs)
    assert active.tolist() == [True, True, False, False]
    assert (gradient != 0).tolist() == [False, False, True, True]


def test_a_ratio_far_out_stays_finite() -> None:
    loss, _ = ppo_clip_loss(torch.tensor([0.0]), torch.tensor([-500.0]), torch.tensor([-1.0]))
    assert bool(torch.isfinite(loss).all())


MASK = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0]]).bool()


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("token_mean", [4 / 7, 1 / 7, 0, 2 / 7]),
        ("sequence_mean", [1 / 3, 1 / 3, 0, 1 / 3]),
        ("sequence_sum", [4 / 30, 1 / 30, 0, 2 / 30]),
    ],
)
def test_weights_of_rows(mode: str, expected: list[float]) -> None:
    weights = token_weights(MASK, mode, 10)  # type: ignore[arg-type]
    assert weights[~MASK].abs().max() == 0
    torch.testing.assert_close(weights.sum(1), torch.tensor(expected))


@given(st.lists(st.integers(0, 6), min_size=1, max_size=8))
def test_means_have_weights_that_sum_to_one(lengths: list[int]) -> None:
    mask = length_mask(lengths)
    for mode in ("token_mean", "sequence_mean"):
        total = float(token_weights(mask, mode, 6).sum())  # type: ignore[arg-type]
        assert total == pytest.approx(1.0 if sum(lengths) else 0.0)
    assert float(token_weights(mask, "sequence_sum", 6).sum()) <= 1 + 1e-6


def test_an_unknown_aggregation_is_refused() -> None:
    with pytest.raises(ValueError, match="token_mean, sequence_mean or sequence_sum"):
        token_weights(MASK, "mean", 4)  # type: ignore[arg-type]


def batch(**changes: object) -> RolloutBatch:
    fields: dict = {
        "problem_id": ["a", "b"],
        "group": torch.tensor([0, 1]),
        "tokens": torch.zeros(2, 3, dtype=torch.long),
        "loss_mask": length_mask([3, 1]),
        "token_mask": length_mask([3, 2]),
        "rewards": torch.zeros(2),
        "judged": torch.ones(2).bool(),
        "rollout_logprobs": torch.zeros(2, 3),
    }
    return RolloutBatch(**(fields | changes))


def test_a_batch_refuses_what_does_not_fit() -> None:
    batch()
    batch(rewards=torch.tensor([0.0, math.nan]), judged=torch.tensor([True, False]))
    for changes, message in (
        ({"rewards": torch.zeros(3)}, "rewards has 3 rows"),
        ({"loss_mask": length_mask([3, 3])}, "only tokens"),
        ({"rewards": torch.tensor([0.0, math.inf])}, r"row 1 \(b\) is not a finite"),
    ):
        with pytest.raises(ValueError, match=message):
            batch(**changes)


def test_padding() -> None:
    assert pad_rows([[1, 2], [], [3]], torch.long, -1).tolist() == [[1, 2], [-1, -1], [3, -1]]
    assert pad_rows([[], []], torch.float32).shape == (2, 1)
    assert length_mask([0, 2]).tolist() == [[False, False], [True, True]]


def test_gspo_has_one_ratio_for_a_sequence() -> None:
    old = torch.tensor([[-1.0, -2.0, -9.0]])
    new = (old + torch.tensor([[0.2, -0.1, 5.0]])).requires_grad_(True)
    mask = torch.tensor([[True, True, False]])
    loss, active = token_loss("gspo", new, old, torch.ones(1, 3), mask, clip_low=0.2, clip_high=0.2)
    assert loss[0, :2].tolist() == pytest.approx([-math.exp(0.05)] * 2)
    assert not bool(active[0, :2].any())


def test_cispo_never_drops_a_token() -> None:
    old, new = torch.tensor([-3.0, -1.0]), torch.tensor([-1.0, -1.0], requires_grad=True)
    loss, clipped = token_loss("cispo", new, old, torch.ones(2), torch.ones(2, dtype=torch.bool), clip_high=0.28)
    (gradient,) = torch.autograd.grad(loss.sum(), new)
    assert gradient.tolist() == pytest.approx([-1.28, -1.0])  # PPO's clip would have made the first one 0
    assert clipped.tolist() == [True, False]


def test_trpa_counts_every_pair() -> None:
    ratios = torch.tensor([0.3, -0.2, 0.1], requires_grad=True)
    made = trpa_loss(ratios, torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0, 0, 0]))
    pairs = [0.1 * 2.5 * 0.5, 0.1 * 2.5 * 0.2]
    assert float(made.detach()) == pytest.approx(sum(math.log1p(math.exp(-h)) for h in pairs) / 2)
    assert float(trpa_loss(ratios, torch.tensor([1.0, 0.0, 1.0]), torch.tensor([0, 1, 2])).detach()) == 0.0


def test_critique_grpo_teaches_unlikely_tokens_most() -> None:
    logprobs = torch.log(torch.tensor([0.01, 0.1, 0.9])).requires_grad_(True)
    loss = critique_grpo_loss(logprobs, torch.ones(3))
    assert loss.tolist() == pytest.approx([-0.01 / 0.11, -0.5, -0.9])
    (gradient,) = torch.autograd.grad(loss.sum(), logprobs)
    share = (gradient / torch.exp(logprobs)).abs()  # per unit of probability: gamma / (p + gamma)^2
    assert share.tolist() == pytest.approx([0.1 / 0.11**2, 0.1 / 0.2**2, 0.1], rel=1e-4)


def test_an_unknown_loss_is_named() -> None:
    with pytest.raises(ValueError, match="'ppo' is not known"):
        token_loss("ppo", torch.zeros(1), torch.zeros(1), torch.zeros(1), torch.ones(1, dtype=torch.bool))
