"""Knapsack budgets: rollouts go where they are likely to teach something (Knapsack RL, arXiv:2509.25849, section 3).

    max  sum_i Value(N_i, p_i)    subject to  sum_i N_i = total,  low <= N_i <= high
    Value(N, p) = (1 - p^N - (1-p)^N) * p (1-p)^2

The first factor is the chance that N rollouts of a prompt with success rate p are not all alike; the second how much a
step on such a group moves p (their Proposition 1). Eight rollouts of a prompt with p = 0.03 are all wrong nearly
always; ninety are not.

The gain of one more rollout, p(1-p)^2 * (p^N (1-p) + (1-p)^N p), falls with N, so taking the largest gain again and
again is exact: a heap, after a threshold search that takes the many clear cases at once. The authors solve a dynamic
programme that scores the minimum as 0 (not optimal in 13 of 60 small instances), ignores `high` where it falls back,
and fails when all prompts are cheap (their code, run here). Ours differs on purpose: exact, never above `high`, and
what finds no place is left unspent.

The rule around it (`allocate`): a prompt that was never seen gets `default`; one that was always solved gets `low`; one
that was never solved has Value 0, but gets what the prompts in between are not likely to need (`cost`), since only
rollouts can find its first success. How sure: Value and cost from the paper and the code; the rule for the remainder is
ours (cases `knap_robust_*` of our golden numbers).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEAP_ALONE = 2_000
"""Up to this many rollouts the heap is used alone."""

SMALLEST = 1e-9
"""Rates this near to 0 or 1 are as hard to tell from them as any."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def task_value(count: int, rate: float) -> float:
    """Value(N, p); 0 for p in {0, 1}, and for no rollouts, where the formula alone would give -p(1-p)^2."""
    return 0.0 if count == 0 else (1 - rate**count - (1 - rate) ** count) * rate * (1 - rate) ** 2


def cost(rate: float, *, alpha: float = 0.9, estimate: str = "probability") -> float:
    """Rollouts until a prompt of success rate `rate` in (0, 1) shows both outcomes: with probability `alpha`, or in
    expectation.
    """
    if estimate == "probability":
        return math.log(1 - alpha) / math.log1p(-min(rate, 1 - rate))
    return 1 / (rate * (1 - rate)) - 1


def allocate(
    rates: Sequence[float | None], total: int, *, low: int, high: int, default: int | None = None
) -> list[int]:
    """Rollouts for each prompt, each between `low` and `high`; their sum is at most `total`, and less only if all
    prompts are at `high`.

    Args:
        rates: success rate in [0, 1] of each prompt; None for one that was never seen.
        total: rollouts to give out.
        default: rollouts of a prompt never seen; None: an equal share of `total`. Cut where it would take what others
            need for `low`.

    Raises:
        ValueError: low > high, low * prompts > total, a bound below 0, or a rate outside [0, 1].
    """
    _check(rates, total, low, high)
    if not rates:
        return []
    share = total // len(rates) if default is None else default
    seen = np.array([math.nan if rate is None else rate for rate in rates], dtype=np.float64)
    unseen, never, always = np.isnan(seen), seen == 0, seen == 1
    between = ~(unseen | never | always)
    counts = np.full(len(rates), low, dtype=np.int64)
    remaining = total - low * len(rates)
    for_unseen = min(remaining, int(unseen.sum()) * (max(low, min(high, share)) - low))
    remaining += _spread_evenly(counts, unseen, for_unseen, high) - for_unseen
    seen[between] = seen[between].clip(SMALLEST, 1 - SMALLEST)
    need = sum(int(min(high - low, cost(float(rate)))) for rate in seen[between])
    if remaining > need:
        remaining = need + _spread_evenly(counts, never, remaining - need, high)
    remaining = _spread_by_gain(counts, between, seen, remaining, high)
    for group in (never, unseen, always):
        remaining = _spread_evenly(counts, group, remaining, high)
    return [int(count) for count in counts]


def _check(rates: Sequence[float | None], total: int, low: int, high: int) -> None:
    if low < 0:
        raise ValueError(f"budget: low is {low}; it cannot be below 0")
    if low > high:
        raise ValueError(f"budget: low is {low} and high is {high}; low must not exceed high")
    if low * len(rates) > total:
        raise ValueError(
            f"budget: {len(rates)} prompts with at least {low} rollouts each need {low * len(rates)}, but total is"
            f" {total}; lower low, or raise total"
        )
    for index, rate in enumerate(rates):
        if rate is not None and not 0 <= rate <= 1:
            raise ValueError(
                f"budget: the success rate of prompt {index} is {rate}; it must be in [0, 1], or None for a prompt"
                " never seen"
            )


def _spread_evenly(counts: Ints, group: NDArray[np.bool_], amount: int, high: int) -> int:
    """Adds `amount` evenly to the members of `group`, first ones first, none above `high`. Returns what found no
    place.
    """
    while amount > 0:
        open_ = np.flatnonzero(group & (counts < high))
        if not len(open_):
            break
        each, more = divmod(amount, len(open_))
        wish = np.full(len(open_), each)
        wish[:more] += 1
        shares = np.minimum(wish, high - counts[open_])
        counts[open_] += shares
        amount -= int(shares.sum())
    return amount


def _spread_by_gain(counts: Ints, between: NDArray[np.bool_], rates: Floats, amount: int, high: int) -> int:
    """Gives `amount` more rollouts to the members of `between` so that the sum of Value is the largest. Returns what
    found no place.
    """
    members = np.flatnonzero(between & (counts < high))
    if not len(members) or amount <= 0:
        return amount
    p, start = rates[members], counts[members]
    room = int((high - start).sum())
    if amount >= room:
        counts[members] = high
        return amount - room
    now = _by_threshold(p, start, amount, high) if amount > HEAP_ALONE and start.min() >= 1 else start.copy()
    counts[members] = _by_heap(p, now, amount - int((now - start).sum()), high)
    return 0


def _gain(p: Floats, count: Any) -> Any:
    """Value(N + 1, p) - Value(N, p) for N = `count` >= 1; positive and falling in N."""
    return p * (1 - p) ** 2 * (p**count * (1 - p) + (1 - p) ** count * p)


def _by_threshold(p: Floats, start: Ints, amount: int, high: int) -> Ints:
    """Counts with every rollout whose gain is above a threshold that leaves few for the heap, and never more than
    `amount`.
    """
    best = start
    low_bar, high_bar = -700.0, 0.0  # logarithms of the gain
    for _ in range(60):
        bar = (low_bar + high_bar) / 2
        reached = _above(p, start, bar, high)
        spent = int((reached - start).sum())
        if spent > amount:
            low_bar = bar
        else:
            high_bar, best = bar, reached
            if amount - spent <= max(HEAP_ALONE, len(p) // 20):
                break
    return best


def _above(p: Floats, start: Ints, bar: float, high: int) -> Ints:
    """Counts up to which each further rollout gains at least exp(bar)."""
    smaller = np.minimum(p, 1 - p)
    goal = bar - np.log(p) - 2 * np.log1p(-p)
    a, b = np.log1p(-smaller), np.log(smaller)
    # log gain is convex and falls in n: Newton's method from the left comes up to the root and never passes it.
    n = np.clip((goal - b) / a, start, high)
    for _ in range(4):
        first, second = n * a + b, n * b + a
        top = np.maximum(first, second)
        left, right = np.exp(first - top), np.exp(second - top)
        slope = (left * a + right * b) / (left + right)
        n = np.clip(n - (top + np.log(left + right) - goal) / slope, start, high)
    reached = np.clip(np.floor(n).astype(np.int64) + 1, start, high)
    too_far = (reached > start) & (np.log(_gain(p, reached - 1)) < bar)
    while too_far.any():
        reached[too_far] -= 1
        too_far = (reached > start) & (np.log(_gain(p, reached - 1)) < bar)
    return reached


def _by_heap(p: Floats, counts: Ints, amount: int, high: int) -> Ints:
    """`amount` more rollouts, each to the largest gain; ties to the lower index. From 0, the first two come together:
    one gains nothing.

    Exact there too: gain(2) is half of gain(1), so the gain of a rollout never rises, and only a last single one needs
    a second look.
    """
    counts = counts.copy()
    first = np.maximum(counts, 2)  # half of the first two together is gain(2)
    gains = np.where(counts == 0, _gain(p, first), _gain(p, np.maximum(counts, 1)))
    heap = [
        (-gain, index)
        for index, gain in enumerate(gains.tolist())
        if counts[index] < high and (counts[index] or high > 1)
    ]
    heapq.heapify(heap)
    while amount and heap:
        _, index = heap[0]
        step = 2 if counts[index] == 0 else 1
        if step > amount:
            _last_one(p, counts, index, high)
            return counts
        counts[index] += step
        amount -= step
        if counts[index] < high:
            heapq.heapreplace(heap, (-float(_gain(p[index], counts[index])), index))
        else:
            heapq.heappop(heap)
    for index in np.flatnonzero(counts < high)[:amount]:  # high is 1: nothing can be gained
        counts[index] += 1
    return counts


def _last_one(p: Floats, counts: Ints, unopened: int, high: int) -> None:
    """One rollout is left and two would be worth most: give it to the best prompt that has some, or take one back and
    open the other.
    """
    open_ = np.flatnonzero((counts >= 2) & (counts < high))
    spare = np.flatnonzero(counts >= 3)
    gain = _gain(p, np.maximum(counts, 1))[open_].max() if len(open_) else 0.0
    lost = _gain(p[spare], counts[spare] - 1)
    if len(spare) and float(_gain(p[unopened], 1)) - lost.min() > gain:
        counts[spare[int(lost.argmin())]] -= 1
        counts[unopened] += 2
    elif len(open_):
        counts[open_[int(_gain(p[open_], counts[open_]).argmax())]] += 1
    else:
        counts[unopened] += 1


class KnapsackBudget:
    """`allocate` for the trainer: the same number of rollouts in all as a uniform budget would have, given out by
    success rates.
    """

    def __init__(self, rollouts_per_prompt: int, *, low: int, high: int) -> None:
        self.rollouts_per_prompt, self.low, self.high = rollouts_per_prompt, low, high

    def allocate(self, rates: Sequence[float | None]) -> list[int]:
        """Rollouts for each prompt, in order."""
        total = self.rollouts_per_prompt * len(rates)
        return allocate(rates, total, low=self.low, high=self.high, default=self.rollouts_per_prompt)
