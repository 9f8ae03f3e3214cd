"""Knapsack budgets: optimal by brute force, never above a bound, and fast."""

from __future__ import annotations

import itertools
import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.budgets import knapsack
from reasonrl.budgets.knapsack import KnapsackBudget, allocate, task_value


def value(counts: list[int], rates: list[float]) -> float:
    return sum(task_value(count, rate) for count, rate in zip(counts, rates, strict=True))


def best(rates: list[float], total: int, low: int, high: int) -> float:
    spent = min(total, high * len(rates))
    return max(
        value(list(c), rates) for c in itertools.product(range(low, high + 1), repeat=len(rates)) if sum(c) == spent
    )


def test_as_good_as_any_other_way_to_give_out() -> None:
    """1,000 random instances with rates inside (0, 1), against every allocation; from 0 too, where one rollout is worth
    nothing.
    """
    generator = random.Random(0)
    for _ in range(1000):
        prompts, low = generator.randint(1, 3), generator.randint(0, 2)
        high = generator.randint(max(low, 1), 7)
        total = generator.randint(low * prompts, high * prompts + 1)
        rates = [generator.choice([generator.uniform(0.01, 0.99), 0.5, 0.25]) for _ in range(prompts)]
        made = allocate(rates, total, low=low, high=high)
        assert value(made, rates) == pytest.approx(best(rates, total, low, high), abs=1e-12), (
            rates,
            total,
            low,
            high,
            made,
        )


RATES = st.lists(st.one_of(st.none(), st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.5])), max_size=12)


@given(RATES, st.integers(0, 4), st.integers(0, 12), st.integers(0, 200), st.one_of(st.none(), st.integers(-3, 40)))
def test_bounds_and_sums(rates: list[float | None], low: int, room: int, extra: int, default: int | None) -> None:
    high, total = low + room, low * len(rates) + extra
    made = allocate(rates, total, low=low, high=high, default=default)
    assert len(made) == len(rates) and all(low <= count <= high for count in made)
    assert sum(made) == min(total, high * len(rates))  # unspent only when everybody is full


@given(st.lists(st.floats(0.01, 0.99), min_size=2, max_size=8), st.data())
def test_the_order_of_prompts_does_not_matter(rates: list[float], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(rates))))
    forth = allocate(rates, 8 * len(rates), low=2, high=32)
    back = allocate([rates[i] for i in order], 8 * len(rates), low=2, high=32)
    assert value(forth, rates) == pytest.approx(value(back, [rates[i] for i in order]), abs=1e-12)


def test_the_threshold_search_and_the_heap_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(1)
    for high in (16, 128, 5000):
        rates = [generator.choice([generator.random(), 1e-6, 0.999, 1 / 3]) for _ in range(400)]
        total = generator.randint(3000, 6000)
        quick = allocate(rates, total, low=2, high=high)
        monkeypatch.setattr(knapsack, "HEAP_ALONE", 10**9)
        slow = allocate(rates, total, low=2, high=high)
        monkeypatch.undo()
        monkeypatch.setattr(knapsack, "HEAP_ALONE", 50)
        assert allocate(rates, total, low=2, high=high) == slow == quick
        monkeypatch.undo()


def test_hard_prompts_get_more_and_easy_ones_little() -> None:
    made = allocate([0.03, 0.3, 0.97, 0.0, 1.0, None], 48, low=2, high=32, default=8)
    assert made[0] > made[1] > made[2] >= made[4] == 2 and made[5] == 8


def test_the_trainers_budget_spends_what_a_uniform_one_would() -> None:
    budget = KnapsackBudget(8, low=2, high=64)
    assert budget.allocate([None] * 4) == [8] * 4
    assert sum(budget.allocate([0.1, 0.5, 1.0, 0.0])) == 32


@pytest.mark.parametrize(
    ("rates", "total", "low", "high", "words"),
    [
        ([0.5, 0.5], 3, 2, 8, "2 prompts with at least 2"),
        ([0.5], 8, 4, 2, "low is 4 and high is 2"),
        ([0.5, 1.5], 8, 2, 8, "prompt 1 is 1.5"),
        ([float("nan")], 8, 2, 8, "prompt 0 is nan"),
        ([0.5], 8, -1, 8, "below 0"),
    ],
)
def test_impossible_input_is_named(rates: list[float], total: int, low: int, high: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        allocate(rates, total, low=low, high=high)


def test_a_hundred_thousand_prompts() -> None:
    rates = np.random.default_rng(0).uniform(0, 1, 100_000).tolist()
    started = time.perf_counter()
    made = allocate(rates, 800_000, low=2, high=128)
    assert time.perf_counter() - started < 3.0  # under 1 s on a quiet machine: benchmarks/algorithms.py
    assert sum(made) == 800_000
