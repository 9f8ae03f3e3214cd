"""The compiled log-softmax and torch's own, each against autograd in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from reasonrl.models import log_softmax
from reasonrl.models.log_softmax import LogSoftmaxAt, _functions_for

needs_compiler = pytest.mark.skipif(_functions_for(torch.float32) is None, reason="no C compiler")


@pytest.fixture(params=[pytest.param("compiled", marks=needs_compiler), "torch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "torch":
        monkeypatch.setattr(log_softmax, "_functions", lambda logits: None)
    return str(request.param)


def case(states: int, vocabulary: int, dtype: torch.dtype, spread: float = 3.0) -> tuple[torch.Tensor, ...]:
    """Logits, and pairs of which several ask for one state and some for one token of it; state 0 is not asked for."""
    source = torch.Generator().manual_seed(states * 1000 + vocabulary)
    logits = (torch.randn(states, vocabulary, generator=source) * spread).to(dtype)
    state = (
        torch.cat([torch.arange(1, states), torch.randint(1, states, (3 * states,), generator=source)]).sort().values
    )
    token = torch.randint(0, vocabulary, (len(state),), generator=source)
    token[state == 1] = token[0]
    return logits, state, token, *torch.randn(2, len(state), generator=source)


def by_autograd(logits: torch.Tensor, state: Any, token: Any, temperature: float) -> tuple[torch.Tensor, ...]:
    table = torch.log_softmax(logits / temperature, -1)
    return table[state, token], -(table.exp() * table).sum(-1)[state]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize(("states", "vocabulary"), [(2, 1), (3, 7), (2, 8), (5, 33), (40, 512), (3, 1031), (4, 49152)])
@pytest.mark.parametrize("entropy_gradient", [False, True])
def test_values_and_gradients(
    way: str, dtype: torch.dtype, temperature: float, states: int, vocabulary: int, entropy_gradient: bool
) -> None:
    logits, state, token, of_picked, of_entropy = case(states, vocabulary, dtype)
    exact = logits.double().requires_grad_()
    expected = by_autograd(exact, state, token, temperature)
    leaf = logits.clone().requires_grad_()
    made = LogSoftmaxAt.apply(leaf * 1, state, token, temperature, entropy_gradient)
    for one, other in zip(made, expected, strict=True):
        torch.testing.assert_close(one.double(), other, atol=2e-5, rtol=0)
    weights = (of_picked, of_entropy if entropy_gradient else torch.zeros_like(of_entropy))
    (gradient,) = torch.autograd.grad(
        sum((a.double() * b).sum() for a, b in zip(expected, weights, strict=True)), exact
    )
    used = [(a * b).sum() for a, b in zip(made, weights, strict=True)]
    (ours,) = torch.autograd.grad(sum(used if entropy_gradient else used[:1]), leaf)
    # bfloat16: a gradient is rounded once, whatever its parts are
    torch.testing.assert_close(ours.double(), gradient, atol=1e-5, rtol=2**-8 if dtype is torch.bfloat16 else 1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_sure_token_keeps_its_small_gradient(way: str, dtype: torch.dtype) -> None:
    """1 - p of a token with p = 0.9997: in bfloat16 the difference of two rounded parts would be 0."""
    logits = torch.zeros(1, 100, dtype=dtype)
    logits[0, 3] = 12.75
    leaf = logits.requires_grad_()
    zero, three = torch.tensor([0]), torch.tensor([3])
    picked, _ = LogSoftmaxAt.apply(leaf * 1, zero, three, 1.0, False)
    (gradient,) = torch.autograd.grad(picked.sum(), leaf)
    exact = 1 - torch.softmax(logits.detach().double(), -1)[0, 3]
    assert float(gradient[0, 3]) == pytest.approx(float(exact), rel=0.005)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masked_logits_have_no_probability_and_no_gradient(way: str, dtype: torch.dtype) -> None:
    logits = torch.randn(2, 21, generator=torch.Generator().manual_seed(0)).to(dtype)
    logits[0, 4:9] = -torch.inf
    leaf = logits.requires_grad_()
    state, token = torch.tensor([0, 1]), torch.tensor([2, 3])
    picked, _ = LogSoftmaxAt.apply(leaf * 1, state, token, 1.0, False)
    expected = torch.log_softmax(logits.detach().double(), -1)[state, token]
    torch.testing.assert_close(picked.double(), expected, atol=1e-5, rtol=0)
    (gradient,) = torch.autograd.grad(picked.sum(), leaf)
    assert gradient.isfinite().all() and not gradient[0, 4:9].any() and gradient[0, :4].all()


def test_what_is_no_number_stays_none(way: str) -> None:
    """A model that diverged must be seen, not smoothed over."""
    logits = torch.zeros(2, 21)
    logits[1, 20] = torch.nan
    leaf = logits.requires_grad_()
    picked, entropy = LogSoftmaxAt.apply(leaf * 1, torch.tensor([0, 1]), torch.tensor([2, 3]), 1.0, False)
    assert picked.isnan().tolist() == entropy.isnan().tolist() == [False, True]
    (gradient,) = torch.autograd.grad(picked.sum(), leaf)
    assert gradient[0].isfinite().all() and gradient[1].isnan().all()


@needs_compiler
def test_a_row_gets_the_same_bits_with_any_other_rows_and_threads() -> None:
    logits, *_ = case(40, 1031, torch.float32)
    threads = torch.get_num_threads()
    try:
        results = []
        for count, rows in ((1, 40), (2, 40), (2, 7), (1, 1)):
            torch.set_num_threads(count)
            results.append([tensor[0] for tensor in log_softmax._normalise(logits[:rows].clone(), 0.7)])
    finally:
        torch.set_num_threads(threads)
    assert all(a == b for one in results[1:] for a, b in zip(one, results[0], strict=True))


def test_a_transposed_table_is_read_as_it_is() -> None:
    logits, state, token, *_ = case(5, 33, torch.float32)
    expected = by_autograd(logits, state, token, 1.0)
    for one, other in zip(LogSoftmaxAt.apply(logits.T.contiguous().T, state, token, 1.0, False), expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_without_a_compiler_torch_computes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    logits, state, token, *_ = case(5, 33, torch.float32)
    expected = by_autograd(logits, state, token, 1.0)
    monkeypatch.setenv("REASONRL_CACHE", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler")
    _functions_for.cache_clear()
    try:
        assert _functions_for(torch.float32) is None
        made = LogSoftmaxAt.apply(logits, state, token, 1.0, False)
    finally:
        _functions_for.cache_clear()
    for one, other in zip(made, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
