"""The draw in one pass against one in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonrl.engines.base import Sampling
from reasonrl.engines.local.drawing import draw
from reasonrl.engines.local.kernel import layers_for
from reasonrl.engines.sampling import draw_tokens

needs_kernel = pytest.mark.skipif(layers_for(torch.float32) is None, reason="no C compiler")


@needs_kernel
@given(
    seed=st.integers(0, 10**6),
    size=st.sampled_from([1, 2, 7, 8, 9, 16, 100, 1023, 1025, 5000, 49152]),
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.5]),
    spread=st.sampled_from([0.0, 1.0, 30.0]),
    is_half=st.booleans(),
    hides=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_a_token_lies_where_its_noise_points(
    seed: int, size: int, temperature: float, spread: float, is_half: bool, hides: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(5, size, generator=generator) + 10 * torch.randn(5, 1, generator=generator)
    if hides and size > 2:
        logits[:, ::2] = -torch.inf
    logits = logits.to(torch.bfloat16 if is_half else torch.float32)
    noise = torch.rand(5, dtype=torch.float64, generator=generator)
    noise[0], noise[1] = 0.0, 1 - 2**-53
    tokens, logprobs = draw(logits, noise, Sampling(1, temperature))
    exact = torch.log_softmax((logits.float() / (temperature or 1.0)).double(), -1)
    assert logprobs == pytest.approx([exact[i, token].item() for i, token in enumerate(tokens)], rel=1e-6, abs=1e-5)
    if temperature == 0:
        assert tokens == [int(torch.nonzero(row == row.max())[0]) for row in logits.float()]
        return
    probs = exact.exp()
    ends = probs.cumsum(-1)
    for i, token in enumerate(tokens):
        assert exact[i, token] > -torch.inf  # noise of exactly 0 takes the first token that is possible at all
        assert ends[i, token] - probs[i, token] - 1e-6 <= noise[i] <= ends[i, token] + 1e-6


@needs_kernel
def test_a_row_of_no_numbers_is_seen() -> None:
    logits = torch.randn(3, 50)
    logits[1, 7] = torch.nan
    _, logprobs = draw(logits, torch.full((3,), 0.5, dtype=torch.float64), Sampling(1))
    assert [value != value for value in logprobs] == [False, True, False]


def test_cuts_are_those_of_the_plain_draw() -> None:
    logits, noise = torch.randn(20, 300), torch.rand(20, dtype=torch.float64)
    for sampling in (Sampling(1, top_k=3), Sampling(1, top_p=0.4)):
        tokens, logprobs = draw(logits, noise, sampling)
        plain, values = draw_tokens(logits, noise, sampling)
        assert tokens == plain.tolist() and logprobs == values.tolist()
