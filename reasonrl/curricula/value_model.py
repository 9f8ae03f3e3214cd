"""A value model for prompts: the success rate of the present policy, predicted before anything is rolled out (PCL,
arXiv:2510.01135).

    V(x) = clamp(w . f(x) + b, 0, 1),    fitted to the success rates that the rollouts just made have shown

f(x) is what the caller gives: in the trainer the policy's own last hidden state at the end of the prompt, so a
prediction costs one forward pass of the prompt, no more. The paper trains a model of the policy's size with a linear
head, one gradient step on each batch; its learning rate and start are not stated. Ours fits the head alone, by ridge
regression over the newest `window` prompts, each weighted by its number of rollouts: no learning rate, exact, and
useful after a few hundred rollouts. Old features age as the policy moves; the window forgets them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class ValueModel:
    """Ridge regression from features [n, H] to success rates [n], over a window of observations. Everything in float64
    on the CPU.

    Args:
        window: prompts that are remembered.
        ridge: penalty on the weights, in units of the (standardised) features' mean square.
        min_count: prompts that have to be seen before anything is predicted.
    """

    def __init__(self, *, window: int = 512, ridge: float = 0.3, min_count: int = 16) -> None:
        if window < 1 or min_count < 1 or ridge <= 0:
            raise ValueError(
                f"value model: window {window}, min_count {min_count} must be 1 or more and ridge {ridge} above 0"
            )
        self.window, self.ridge, self.min_count = window, ridge, min_count
        self._features = torch.zeros(0, 0, dtype=torch.float64)
        self._targets = torch.zeros(0, dtype=torch.float64)
        self._weights = torch.zeros(0, dtype=torch.float64)
        self._dual: Tensor | None = None
        self._centre, self._scale, self._bias = torch.zeros(0), torch.ones(0), 0.5

    def predict(self, features: Tensor) -> list[float | None]:
        """Success rates in [0, 1] of prompts with `features` [n, H]; None for all until `min_count` prompts have been
        seen.
        """
        if len(self._targets) < self.min_count:
            return [None] * len(features)
        if self._dual is None:
            self._fit()
        assert self._dual is not None
        standard = (features.double() - self._centre) / self._scale
        known = (self._features - self._centre) / self._scale
        return (standard @ (known.T @ self._dual) + self._bias).clamp(0, 1).tolist()

    def observe(self, features: Tensor, rates: Sequence[float], counts: Sequence[int]) -> None:
        """Adds prompts with `features` [n, H], of whose `counts` rollouts the share `rates` was right; the oldest are
        forgotten.
        """
        if not len(features):
            return
        old = self._features if len(self._features) else features[:0].double()
        self._features = torch.cat([old, features.double()])[-self.window :].contiguous()
        self._targets = torch.cat([self._targets, torch.tensor(list(rates), dtype=torch.float64)])[
            -self.window :
        ].contiguous()
        self._weights = torch.cat([self._weights, torch.tensor(list(counts), dtype=torch.float64)])[
            -self.window :
        ].contiguous()
        self._dual = None

    def _fit(self) -> None:
        """(K + ridge * H * diag(1/c)) a = y - bias, the dual of weighted ridge: n x n, and n is at most the window."""
        self._centre = self._features.mean(0)
        self._scale = (
            self._features.std(0).clamp(min=1e-6) if len(self._features) > 1 else torch.ones_like(self._centre)
        )
        self._bias = float((self._weights * self._targets).sum() / self._weights.sum())
        known = (self._features - self._centre) / self._scale
        noise = self.ridge * known.shape[1] * self._weights.mean() / self._weights
        self._dual = torch.linalg.solve(known @ known.T + torch.diag(noise), self._targets - self._bias)

    def tensors(self) -> dict[str, Tensor]:
        """All the state there is."""
        return {"features": self._features, "targets": self._targets, "weights": self._weights}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        self._features, self._targets, self._weights = tensors["features"], tensors["targets"], tensors["weights"]
        self._dual = None
