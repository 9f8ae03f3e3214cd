"""Knapsack budgets (arXiv:2509.25849, section 3), by trying every allocation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence


def value(count: int, rate: float) -> float:
    """(1 - p^N - (1-p)^N) * p (1-p)^2: the chance that N rollouts are not all alike, times what they teach then."""
    return 0.0 if count == 0 else (1 - rate**count - (1 - rate) ** count) * rate * (1 - rate) ** 2


def knapsack_value(pairs: Sequence[tuple[int, float]]) -> list[float]:
    return [value(count, rate) for count, rate in pairs]


def knapsack_cost(rates: Sequence[float], alpha: float = 0.9) -> dict[str, list[float]]:
    """Rollouts until both outcomes were seen: log(1 - alpha) / log(1 - min(p, 1-p)) with probability alpha, and
    1 / (p (1-p)) - 1 on average.
    """
    return {
        "probability": [math.log(1 - alpha) / math.log(1 - min(p, 1 - p)) for p in rates],
        "expectation": [1 / (p * (1 - p)) - 1 for p in rates],
    }


def allocations(places: int, total: int, low: int, high: int) -> Iterator[list[int]]:
    """Every way to write `total` as `places` counts in [low, high]."""
    if places == 0:
        if total == 0:
            yield []
        return
    for first in range(low, min(high, total) + 1):
        for others in allocations(places - 1, total - first, low, high):
            yield [first, *others]


def best_allocation(rates: Sequence[float], total: int, low: int, high: int) -> list[int]:
    """The allocation of `total` with the largest sum of values. Raises ValueError where two are equally good."""
    if total >= high * len(rates):
        return [high] * len(rates)

    def worth(counts: list[int]) -> float:
        return math.fsum(value(count, rate) for count, rate in zip(counts, rates, strict=True))

    best, *others = sorted(allocations(len(rates), total, low, high), key=worth, reverse=True)
    if others and worth(best) - worth(others[0]) < 1e-12:
        raise ValueError(f"{best} and {others[0]} are equally good")
    return best


def knapsack(
    rates: Sequence[float | None], total: int, low: int, high: int, default: int | None = None
) -> dict[str, object]:
    """The whole rule. Every prompt gets `low`; one never seen (None) up to `default`; never solved ones what the
    prompts in between are not likely to need; those in between the best allocation of what is left; and what finds no
    place there goes to the never solved, the never seen and the always solved ones, in this order, one at a time.
    """
    default = total // len(rates) if default is None else default
    unseen = [i for i, p in enumerate(rates) if p is None]
    never = [i for i, p in enumerate(rates) if p == 0]
    always = [i for i, p in enumerate(rates) if p == 1]
    between = [i for i, p in enumerate(rates) if p is not None and 0 < p < 1]
    counts = [low] * len(rates)

    def deal(rows: list[int], amount: int, limit: int) -> int:
        """One rollout at a time to each of `rows` in turn, up to `limit`; what is left over."""
        while amount and any(counts[i] < limit for i in rows):
            for i in rows:
                if amount and counts[i] < limit:
                    counts[i] += 1
                    amount -= 1
        return amount

    left = deal(unseen, total - sum(counts), max(low, min(high, default)))
    costs = knapsack_cost([rates[i] for i in between])["probability"]
    need = sum(int(min(high - low, cost)) for cost in costs)
    if left > need:
        left = need + deal(never, left - need, high)
    if between:
        spent = min(left, len(between) * (high - low))
        best = best_allocation([rates[i] for i in between], len(between) * low + spent, low, high)
        for i, count in zip(between, best, strict=True):
            counts[i] = count
        left -= spent
    for rows in (never, unseen, always):
        left = deal(rows, left, high)
    return {"counts": counts, "unspent": left}
