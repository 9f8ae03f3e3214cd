"""Success rates, and what is chosen by them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.golden.reference.numbers import clip, deviation, mean, softmax


def success_rate(batches: Sequence[list[int]], window: int, min_count: int) -> float | None:
    """Mean of the newest batch, or of the newest `window` rollouts where that batch is smaller; None below `min_count`
    rollouts in all (arXiv:2509.25849, appendix).
    """
    rollouts = [success for batch in batches for success in batch]
    if not rollouts or len(rollouts) < min_count:
        return None
    newest = batches[-1] if len(batches[-1]) >= window else rollouts[-window:]
    return mean(newest)


def blend(predicted: float, successes: int, count: int, trust: float = 3.0) -> float:
    """(successes + trust * V) / (count + trust), V kept inside [1/32, 31/32] (arXiv:2510.01135)."""
    return (successes + trust * clip(predicted, 1 / 32, 31 / 32)) / (count + trust)


def pcl_select(values: Sequence[float | None], m: int, tau: float = 0.5) -> list[int]:
    """Indices of the m values nearest to tau, nearest first, ties to the lower one; None counts as tau
    (arXiv:2510.01135, algorithm 1).
    """
    left, chosen = list(range(len(values))), []
    for _ in range(m):
        nearest = left[0]
        for i in left:
            if _distance(values[i], tau) < _distance(values[nearest], tau):
                nearest = i
        left.remove(nearest)
        chosen.append(nearest)
    return chosen


def _distance(value: float | None, tau: float) -> float:
    return 0.0 if value is None else abs(value - tau)


def value_model(
    features: list[list[float]],
    rates: list[float],
    counts: list[int],
    ridge: float,
    ask: list[list[float]],
) -> list[float]:
    """Weighted ridge regression of success rates on standardised features, in its primal form (after arXiv:2510.01135):

        (sum_i c_i z_i z_i' + ridge H mean(c) I) w = sum_i c_i z_i (rate_i - b),   b = sum(c rate) / sum(c)

    and clamp(w . z + b, 0, 1) for what is asked.
    """
    width, rows = len(features[0]), range(len(features))
    columns = [[row[k] for row in features] for k in range(width)]
    centres = [mean(column) for column in columns]
    scales = [max(deviation(column), 1e-6) for column in columns]

    def standard(row: list[float]) -> list[float]:
        return [(row[k] - centres[k]) / scales[k] for k in range(width)]

    z = [standard(row) for row in features]
    bias = math.fsum(c * y for c, y in zip(counts, rates, strict=True)) / sum(counts)
    penalty = ridge * width * mean(counts)
    matrix = [
        [math.fsum(counts[i] * z[i][k] * z[i][j] for i in rows) + (penalty if k == j else 0.0) for j in range(width)]
        for k in range(width)
    ]
    right = [math.fsum(counts[i] * z[i][k] * (rates[i] - bias) for i in rows) for k in range(width)]
    weights = solve(matrix, right)
    return [clip(math.fsum(w * x for w, x in zip(weights, standard(row), strict=True)) + bias, 0.0, 1.0) for row in ask]


def solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Gaussian elimination with the largest pivot."""
    rows = [[*line, value] for line, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for k in range(size):
        pivot = max(range(k, size), key=lambda i: abs(rows[i][k]))
        rows[k], rows[pivot] = rows[pivot], rows[k]
        for i in range(size):
            if i != k:
                factor = rows[i][k] / rows[k][k]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    return [rows[k][size] / rows[k][k] for k in range(size)]


def dump(mean_advantages: Sequence[float], counts: Sequence[int], temperature: float = 0.1) -> dict[str, list[float]]:
    """UCB = mean |A| + sqrt(2 ln(n_total + 1) / (n + 1)); drawn by softmax(UCB / temperature) (arXiv:2504.09710)."""
    scores = [
        advantage + math.sqrt(2 * math.log(sum(counts) + 1) / (count + 1))
        for advantage, count in zip(mean_advantages, counts, strict=True)
    ]
    return {"ucb": scores, "weights": softmax([score / temperature for score in scores])}
