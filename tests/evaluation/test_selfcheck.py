"""Measured scores beside reported ones."""

from __future__ import annotations

import pytest

from reasonrl.evaluation.benchmarks import BENCHMARKS, find_benchmark
from reasonrl.evaluation.results import BenchmarkResult
from reasonrl.evaluation.selfcheck import checks_of, known_models
from reasonrl.runs.accuracy import accuracy_of

GSM8K = find_benchmark("gsm8k")


def result(right: int, problems: int = 1319, **more: float) -> BenchmarkResult:
    outcomes = [[n < right] for n in range(problems)]
    return BenchmarkResult("gsm8k", problems, 1, accuracy_of(outcomes), **more)  # type: ignore[arg-type]


def test_a_score_within_the_interval_agrees() -> None:
    (check,) = checks_of("Qwen/Qwen2.5-Math-1.5B-Instruct", [GSM8K], [result(1115)])
    assert check.is_covered and "reported 84.8" in check.text() and "agrees" in check.text()


def test_a_gap_is_explained_by_what_was_seen() -> None:
    (check,) = checks_of("Qwen/Qwen2.5-Math-1.5B-Instruct", [GSM8K], [result(700, truncated=0.4, unparsed=0.2)])
    text = check.text()
    assert not check.is_covered and "DIFFERS" in text
    assert "40% of the answers were cut off" in text and "20% could not be read" in text
    (small,) = checks_of("Qwen2.5-Math-1.5B-Instruct", [GSM8K], [result(1, 30)])
    assert "30 problems say little" in small.text() and "cut off" not in small.text()


def test_other_models_have_no_check() -> None:
    assert checks_of("smollm2-135m", [GSM8K], [result(3)]) == []
    assert "Qwen3-4B-Base" in known_models([GSM8K])


@pytest.mark.parametrize("name", BENCHMARKS)
def test_reported_scores_are_percentages_with_their_settings(name: str) -> None:
    for reported in find_benchmark(name).reported:
        assert 1 < reported.score < 100 and reported.settings and reported.source
