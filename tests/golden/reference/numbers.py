"""Mean, deviation and groups, as every formula needs them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def deviation(values: Sequence[float]) -> float:
    """The unbiased (n - 1) deviation; exactly 0 for equal values, and below two."""
    if len(set(values)) < 2:
        return 0.0
    centre = mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


def judged_rows(rewards: Sequence[float | None], groups: Sequence[str] | None = None, name: str = "") -> list[int]:
    """Indices of the rows that have a reward: of the group `name`, or of all."""
    return [i for i, reward in enumerate(rewards) if reward is not None and (groups is None or groups[i] == name)]


def clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def softmax(values: Sequence[float]) -> list[float]:
    top = max(values)
    powers = [math.exp(value - top) for value in values]
    return [power / math.fsum(powers) for power in powers]
