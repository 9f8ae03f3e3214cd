"""Which rows and tokens go into the update."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from tests.golden.reference.numbers import clip, mean


def clip_advantages(advantages: Sequence[float], bound: float) -> list[float]:
    """Into [-bound, bound]."""
    return [clip(advantage, -bound, bound) for advantage in advantages]


def most_spread_rows(advantages: Sequence[float], count: int) -> list[bool]:
    """The `count` rows with the largest variance, among all subsets of that size (D3S, arXiv:2509.22115).

    Raises ValueError where two subsets are equally good: such a case would test the order of ties.
    """

    def variance(rows: tuple[int, ...]) -> float:
        values = [advantages[i] for i in rows]
        return mean([(value - mean(values)) ** 2 for value in values]) if values else 0.0

    best, *others = sorted(combinations(range(len(advantages)), count), key=variance, reverse=True)
    if others and variance(best) - variance(others[0]) < 1e-9:
        raise ValueError(f"the rows {best} and {others[0]} are equally good")
    return [i in best for i in range(len(advantages))]


def high_entropy_tokens(advantages: list[list[float]], entropy: list[list[float]], share: float) -> list[list[bool]]:
    """The `share` of all tokens with the largest |A| * entropy, at least one (D3S, arXiv:2509.22115)."""
    worth = [
        (abs(advantages[i][t]) * entropy[i][t], -i, -t) for i in range(len(advantages)) for t in range(len(entropy[i]))
    ]
    count = max(1, round(share * len(worth)))
    chosen = {(-i, -t) for _, i, t in sorted(worth, reverse=True)[:count]}
    return [[(i, t) in chosen for t in range(len(row))] for i, row in enumerate(entropy)]
