"""The estimators of the KL term: unknown names, gradients, and tokens that are far out."""

from __future__ import annotations

import math

import pytest
import torch

from reasonrl.algorithms.kl import kl_estimate


def test_unknown_estimator_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="k1, k2 or k3"):
        kl_estimate(torch.zeros(1), torch.zeros(1), "k4")


def test_gradients_of_the_estimators() -> None:
    """k1 pushes every token alike, so its expected gradient is zero; k2's is d; k3's vanishes where the policies
    agree.
    """
    logprob = torch.tensor([-1.0, -2.0], requires_grad=True)
    reference = torch.tensor([-1.5, -2.0])
    expected = {"k1": [1.0, 1.0], "k2": [0.5, 0.0], "k3": [1.0 - 0.60653066, 0.0]}
    for kind, gradient in expected.items():
        (computed,) = torch.autograd.grad(kl_estimate(logprob, reference, kind).sum(), logprob)
        torch.testing.assert_close(computed, torch.tensor(gradient), atol=1e-6, rtol=0)


def test_one_collapsed_token_cannot_decide_k3() -> None:
    assert float(kl_estimate(torch.tensor(-100.0), torch.tensor(0.0), "k3")) == 10.0
    assert math.isfinite(float(kl_estimate(torch.tensor(100.0), torch.tensor(0.0), "k3")))
