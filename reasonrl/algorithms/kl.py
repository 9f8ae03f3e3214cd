"""Estimators of KL(policy || reference) from the log-probs of sampled tokens (J. Schulman, "Approximating KL
Divergence", 2020).

With d = logprob - ref_logprob of a token that the policy sampled:

    k1 = d                      unbiased as a value; as a LOSS its gradient is zero in expectation on policy, so it
                                belongs in the reward
    k2 = d^2 / 2                biased as a value; its gradient is the gradient of the KL
    k3 = exp(-d) - 1 + d        unbiased as a value, never negative; low variance (the `low_var_kl` of verl)
"""

from __future__ import annotations

import torch
from torch import Tensor


def kl_estimate(logprobs: Tensor, ref_logprobs: Tensor, kind: str) -> Tensor:
    """KL of each token, same shape as the inputs. `kind` is k1, k2 or k3; anything else raises ValueError."""
    d = logprobs - ref_logprobs
    if kind == "k1":
        return d
    if kind == "k2":
        return 0.5 * d**2
    if kind == "k3":
        # The bounds of verl 0.9.1: one token of a collapsed policy must not decide the update.
        d = d.clamp(-20.0, 20.0)
        return (torch.exp(-d) - 1.0 + d).clamp(-10.0, 10.0)
    raise ValueError(f"unknown KL estimator '{kind}': choose k1, k2 or k3")
