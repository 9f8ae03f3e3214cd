"""Figures of a benchmark against closed forms, enumeration and simulation."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonrl import stats
from reasonrl.evaluation.results import Answer, majority_is_right, result_of


def row(
    problem: str, correct: bool | None, extracted: str | None = "1", tokens: int = 10, **more: Any
) -> dict[str, Any]:
    status = "timeout" if correct is None else "unparsed" if extracted is None else "judged"
    verdict = {"correct": correct, "extracted": extracted, "status": status}
    base = {
        "problem_id": problem,
        "response_tokens": tokens,
        "finish_reason": "stop",
        "verdicts": {"correctness": verdict},
    }
    return base | more


def same(a: str, b: str) -> bool:
    return float(a) == float(b)


def test_one_answer_a_problem() -> None:
    rows = [row("a", True), row("b", False, None, finish_reason="length"), row("c", None), row("d", True, tokens=100)]
    result = result_of("set", rows, same=same, most_tokens=256)
    assert result.accuracy.interval == stats.wilson(2, 3) and result.accuracy.unjudged == 1
    assert (result.problems, result.samples_per_problem, result.pass_at, result.majority) == (4, 1, {}, None)
    assert (result.truncated, result.unparsed, result.mean_tokens) == (0.25, 0.25, 32.5)
    assert {budget: interval.estimate for budget, interval in result.budgets.items()} == {
        64: 1 / 3,
        128: 2 / 3,
        256: 2 / 3,
    }


def test_pass_at_k_ends_where_some_problem_has_fewer_judged_answers() -> None:
    rows = [row("a", True), *(row("a", False) for _ in range(5)), *(row("b", i == 0) for i in range(5)), row("b", None)]
    result = result_of("set", rows, same=same, most_tokens=64)
    assert list(result.pass_at) == [1, 2, 4, 5]
    for k, interval in result.pass_at.items():
        misses = [math.comb(5, k) / math.comb(6, k), math.comb(4, k) / math.comb(5, k)]
        assert interval.estimate == pytest.approx(1 - sum(misses) / 2)


@given(st.lists(st.sampled_from(["1", "1.0", "2", "3", None]), min_size=1, max_size=7), st.sampled_from(["1", "2"]))
def test_the_majority_is_that_of_enumeration(texts: list[str | None], gold: str) -> None:
    """Answers are numbers: the largest class of equal ones, the one drawn first where several are largest."""
    answers = [Answer("p", t is not None and same(t, gold), t, 1, False, t is None) for t in texts]
    read = [float(t) for t in texts if t is not None]
    counts = Counter(read)
    expected = False
    if counts:
        largest = max(counts.values())
        winner = next(value for value in read if counts[value] == largest)
        expected = winner == float(gold)
    assert majority_is_right(answers, same) is expected


def test_the_majority_of_every_order_of_four_answers() -> None:
    for texts in itertools.product("12", repeat=4):
        answers = [Answer("p", t == "1", t, 1, False, False) for t in texts]
        ones = texts.count("1")
        assert majority_is_right(answers, same) is (ones > 2 or (ones == 2 and texts[0] == "1"))


def test_no_answer_at_all() -> None:
    assert majority_is_right([], same) is None
    assert majority_is_right([Answer("p", False, None, 1, False, True)], same) is False
    with pytest.raises(ValueError, match="no answers"):
        result_of("set", [], same=None, most_tokens=64)


@pytest.mark.parametrize(
    ("problems", "samples", "shape"),
    [(30, 64, (0.5, 0.5)), (30, 4, (1.0, 1.0)), (40, 16, (2.0, 0.5)), (30, 64, (0.3, 1.2)), (500, 4, (1.0, 0.4))],
)
def test_95_percent_intervals_of_avg_at_n_cover_95_percent(
    problems: int, samples: int, shape: tuple[float, float]
) -> None:
    """2,000 simulated benchmarks: each problem has its own success rate, drawn from a Beta distribution."""
    source = random.Random(f"{problems} {samples} {shape}")
    truth, hits = shape[0] / sum(shape), 0
    for _ in range(2000):
        groups = []
        for _ in range(problems):
            rate = source.betavariate(*shape)
            solved = (
                source.binomialvariate(samples, rate)
                if hasattr(source, "binomialvariate")
                else _binomial(source, samples, rate)
            )
            groups.append([solved / samples])  # the mean of a problem stands for its samples: equal numbers of them
        interval = stats.clustered_mean(groups)
        hits += interval.low <= truth <= interval.high
    assert 0.93 <= hits / 2000 <= 0.97


def _binomial(source: random.Random, n: int, rate: float) -> int:
    return sum(source.random() < rate for _ in range(n))


def test_wilson_covers_for_1319_problems() -> None:
    hits = 0
    source = random.Random(1319)
    for _ in range(2000):
        right = sum(source.random() < 0.83 for _ in range(1319))
        interval = stats.wilson(right, 1319)
        hits += interval.low <= 0.83 <= interval.high
    assert 0.93 <= hits / 2000 <= 0.97


def test_means_of_problems_have_the_interval_of_their_samples() -> None:
    groups = [[1.0, 0.0, 1.0, 1.0], [0.0] * 4, [0.0, 0.0, 1.0, 0.0]]
    assert stats.clustered_mean(groups) == stats.clustered_mean([[sum(group) / 4] for group in groups])
