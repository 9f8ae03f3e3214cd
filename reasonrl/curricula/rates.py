"""How likely is the present policy to solve a problem? One estimate for curricula and budgets alike.

    history   the newest rollouts of the problem itself; None if there are too few
    value     the value model's prediction from the prompt
    blend     (h * count + V * c) / (count + c): trusts the history as it grows; V is worth about c = 3 rollouts (PCL,
              arXiv:2510.01135)

A prediction is kept inside [1/32, 31/32]: only rollouts may say that a problem is hopeless or solved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from torch import Tensor

from reasonrl.curricula.history import SuccessHistory
from reasonrl.curricula.value_model import ValueModel
from verifiers.types import Problem

Source = Literal["history", "value", "blend"]
Features = Callable[[Sequence[Problem]], Tensor]
LOWEST = 1 / 32


class SuccessRates:
    """The estimate of `source`, learning from every batch of rollouts.

    Args:
        features: [n, H] of n problems under the present policy; called once a problem and step. Needed for value and
            blend.
        trust: rollouts that a prediction is worth in a blend.
    """

    def __init__(
        self,
        source: Source,
        *,
        history: SuccessHistory,
        value_model: ValueModel | None = None,
        features: Features | None = None,
        trust: float = 3.0,
    ) -> None:
        if source != "history" and (value_model is None or features is None):
            raise ValueError(f"success rates from {source!r} need a value model and the features of prompts")
        self.source, self.history, self.value_model, self.trust = source, history, value_model, trust
        self._features = features
        self._seen: dict[str, Tensor] = {}
        """Features of the problems that were asked about in this step."""
        self.predictions: dict[str, float] = {}
        """What the value model said of them, for its calibration."""

    def begin_step(self) -> None:
        """The policy has changed: features of the last step are no longer its own."""
        self._seen.clear()
        self.predictions.clear()

    def estimate(self, problems: Sequence[Problem]) -> list[float | None]:
        """Success rate of each problem, or None where nothing is known."""
        past = [self.history.rate(problem.id) for problem in problems]
        if self.source == "history":
            return past
        predicted = self._predict(problems)
        if self.source == "value":
            return predicted
        return [
            self._blended(problem.id, value, h) for problem, value, h in zip(problems, predicted, past, strict=True)
        ]

    def observe(self, problems: Sequence[Problem], successes: Sequence[Sequence[bool]]) -> None:
        """Takes in the judged rollouts of each problem: raw, before any filter."""
        judged = [(problem, list(rows)) for problem, rows in zip(problems, successes, strict=True) if rows]
        for problem, rows in judged:
            self.history.update(problem.id, rows)
        if self.value_model is not None and judged:
            features = self._cached_features([problem for problem, _ in judged])
            self.value_model.observe(
                features, [sum(rows) / len(rows) for _, rows in judged], [len(rows) for _, rows in judged]
            )

    def _blended(self, problem_id: str, predicted: float | None, past: float | None) -> float | None:
        if predicted is None:
            return past
        newest = self.history.newest_first(problem_id)
        return (newest.count("1") + self.trust * predicted) / (len(newest) + self.trust)

    def _predict(self, problems: Sequence[Problem]) -> list[float | None]:
        assert self.value_model is not None
        raw = self.value_model.predict(self._cached_features(problems)) if problems else []
        clamped = [None if value is None else min(max(value, LOWEST), 1 - LOWEST) for value in raw]
        for problem, value in zip(problems, clamped, strict=True):
            # the first one of a step: a later one may know the rollouts that it is to be compared with
            if value is not None:
                self.predictions.setdefault(problem.id, value)
        return clamped

    def _cached_features(self, problems: Sequence[Problem]) -> Tensor:
        import torch

        assert self._features is not None
        new = list({problem.id: problem for problem in problems if problem.id not in self._seen}.values())
        if new:
            self._seen.update(
                zip((problem.id for problem in new), self._features(new).detach().float().cpu(), strict=True)
            )
        return torch.stack([self._seen[problem.id] for problem in problems])

    def state_dict(self) -> dict[str, Any]:
        return self.history.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.history.load_state_dict(state)

    def tensors(self) -> dict[str, Tensor]:
        return {} if self.value_model is None else self.value_model.tensors()

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        if self.value_model is not None:
            self.value_model.load_tensors(tensors)
