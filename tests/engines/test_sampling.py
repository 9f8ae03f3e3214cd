"""Tokens are drawn as often as the distribution says, and never where it says never."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.engines.base import Sampling
from reasonrl.engines.sampling import SLICE, draw_tokens, row_noise

LOGITS = torch.tensor([2.0, 1.0, -1.0, 0.5, -math.inf, 1.5, -3.0, 0.0])
LAST = float(np.nextafter(1.0, 0.0))


def draw(sampling: Sampling, count: int) -> torch.Tensor:
    noise = row_noise([7], count)[0]
    tokens, logprobs = draw_tokens(LOGITS.expand(count, -1), noise, sampling)
    expected = torch.log_softmax(LOGITS / (sampling.temperature or 1.0), -1)[tokens]
    torch.testing.assert_close(logprobs, expected)  # of the whole distribution, whatever was cut off
    return torch.bincount(tokens, minlength=len(LOGITS)).double()


def assert_frequencies(counts: torch.Tensor, probs: torch.Tensor) -> None:
    assert counts[probs == 0].sum() == 0
    expected = probs[probs > 0].double() * counts.sum()
    chi2 = float(((counts[probs > 0] - expected) ** 2 / expected).sum())
    freedom = int((probs > 0).sum()) - 1
    assert chi2 < freedom + 5 * math.sqrt(2 * freedom)  # about 1 in 10^4, and the seed is fixed


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_are_the_softmax(temperature: float) -> None:
    assert_frequencies(draw(Sampling(1, temperature), 20_000), torch.softmax(LOGITS / temperature, -1))


def test_top_k_keeps_the_k_likeliest_in_proportion() -> None:
    probs = torch.softmax(LOGITS, -1)
    kept = torch.zeros(8).index_fill(0, torch.tensor([0, 5, 1]), 1.0) * probs
    assert_frequencies(draw(Sampling(1, top_k=3), 20_000), kept / kept.sum())


def test_top_p_keeps_the_smallest_set_that_reaches_p() -> None:
    probs = torch.softmax(LOGITS, -1)  # ordered: 0 (.41), 5 (.25), 1 (.15), 3 (.09), ...
    assert float(probs[[0, 5]].sum()) < 0.7 < float(probs[[0, 5, 1]].sum())
    kept = torch.zeros(8).index_fill(0, torch.tensor([0, 5, 1]), 1.0) * probs
    assert_frequencies(draw(Sampling(1, top_p=0.7), 20_000), kept / kept.sum())


def test_a_tiny_top_p_is_greedy() -> None:
    assert draw(Sampling(1, top_p=1e-6), 100).argmax() == 0
    assert draw(Sampling(1, top_k=1), 100)[0] == 100


def test_greedy_ignores_noise_and_reports_temperature_one() -> None:
    tokens, logprobs = draw_tokens(LOGITS.expand(2, -1), torch.tensor([0.0, LAST], dtype=torch.float64), Sampling(1, 0))
    assert tokens.tolist() == [0, 0]
    torch.testing.assert_close(logprobs, torch.log_softmax(LOGITS, -1)[[0, 0]])


@given(
    logits=st.lists(st.floats(-20, 20, width=32) | st.just(-math.inf), min_size=2, max_size=9).filter(
        lambda row: max(row) > -math.inf
    ),
    noise=st.floats(0, 1, exclude_max=True) | st.just(0.0) | st.just(LAST),
    top_p=st.sampled_from([1.0, 0.9, 0.3]),
)
def test_what_cannot_be_is_never_drawn(logits: list[float], noise: float, top_p: float) -> None:
    row = torch.tensor([logits])
    tokens, logprobs = draw_tokens(row, torch.tensor([noise], dtype=torch.float64), Sampling(1, top_p=top_p))
    assert float(torch.softmax(row, -1)[0, tokens[0]]) > 0
    assert math.isfinite(float(logprobs[0]))


def test_noise_belongs_to_the_seed_alone() -> None:
    both = row_noise([3, 2**63 + 5], 6)
    assert torch.equal(both[1], row_noise([2**63 + 5], 9)[0, :6])
    assert not torch.equal(both[0], both[1])
    assert both.dtype == torch.float64
    assert float(both.min()) >= 0
    assert float(both.max()) < 1


def test_rows_are_drawn_alike_in_any_company() -> None:
    """More rows than stand in memory at a time, against each row alone."""
    logits = torch.randn(2 * SLICE + 3, 50, generator=torch.Generator().manual_seed(0))
    noise = row_noise(range(len(logits)), 1)[:, 0]
    sampling = Sampling(max_new_tokens=1, temperature=0.8, top_p=0.9)
    tokens, logprobs = draw_tokens(logits, noise, sampling)
    alone = [draw_tokens(logits[i : i + 1], noise[i : i + 1], sampling) for i in range(len(logits))]
    assert tokens.tolist() == [int(token) for token, _ in alone]
    assert logprobs.tolist() == [float(value) for _, value in alone]
