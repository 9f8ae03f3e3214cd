"""Statistics against brute force, known values and simulated coverage."""

from __future__ import annotations

import itertools
import math
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonrl import stats

SCORES = st.lists(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=1, max_size=4), min_size=2, max_size=12)


def test_wilson_known_values():
    # 10 of 50 at 95%: the textbook interval (0.112, 0.330).
    interval = stats.wilson(10, 50)
    assert interval == pytest.approx((0.2, 0.11243750, 0.33037017, 50), abs=1e-6)
    assert stats.wilson(0, 10)[:2] == (0.0, 0.0) and stats.wilson(0, 10).high == pytest.approx(0.2775328, abs=1e-6)
    assert stats.wilson(10, 10).high == 1.0


@given(n=st.integers(1, 400), data=st.data(), confidence=st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_wilson_bounds_solve_the_score_equation(n, data, confidence):
    successes = data.draw(st.integers(0, n))
    share, low, high, _ = stats.wilson(successes, n, confidence)
    assert 0 <= low <= share <= high <= 1
    z = stats._z(confidence)
    for bound in (low, high):
        if 0 < bound < 1:
            assert abs(share - bound) == pytest.approx(z * math.sqrt(bound * (1 - bound) / n), abs=1e-9)
    mirrored = stats.wilson(n - successes, n, confidence)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda: stats.wilson(0, 0),
        lambda: stats.wilson(3, 2),
        lambda: stats.wilson(1, 2, confidence=1.0),
        lambda: stats.clustered_mean([]),
        lambda: stats.clustered_mean([[1.0], []]),
        lambda: stats.clustered_mean([[1.5]]),
        lambda: stats.clustered_mean([[float("nan")]]),
        lambda: stats.clustered_bootstrap([], seed=0),
        lambda: stats.clustered_bootstrap([[0.0], [1.0]], seed=0, resamples=0),
        lambda: stats.clustered_standard_error([[1.0]]),
        lambda: stats.paired_difference([], [], seed=0),
        lambda: stats.paired_difference([[1.0]], [[1.0], [0.0]], seed=0),
        lambda: stats.mean_pass_at_k([], 1),
        lambda: stats.pass_at_k(4, 5, 1),
        lambda: stats.pass_at_k(4, 2, 0),
        lambda: stats.mcnemar_exact(-1, 2),
    ],
)
def test_impossible_input_is_refused(call):
    with pytest.raises(ValueError):
        call()


@given(SCORES)
def test_clustered_error_is_the_triple_sum_of_the_paper(groups):
    scores = [score for group in groups for score in group]
    mean = sum(scores) / len(scores)
    diagonal = sum((score - mean) ** 2 for score in scores)
    cross = sum(
        (group[i] - mean) * (group[j] - mean)
        for group in groups
        for i in range(len(group))
        for j in range(len(group))
        if i != j
    )
    correction = len(groups) / (len(groups) - 1)
    expected = math.sqrt(max(0.0, (diagonal + cross) * correction)) / len(scores)
    # the root of a rounding error is 1e-8
    assert stats.clustered_standard_error(groups) == pytest.approx(expected, abs=1e-7)


def test_one_sample_a_problem_is_the_plain_standard_error():
    scores = [0.0, 1.0, 1.0, 0.25, 1.0]
    mean = sum(scores) / 5
    plain = math.sqrt(sum((score - mean) ** 2 for score in scores) / 4 / 5)
    assert stats.clustered_standard_error([[score] for score in scores]) == pytest.approx(plain)
    # Copies of the same answers bring no information.
    assert stats.clustered_standard_error([[score] * 8 for score in scores]) == pytest.approx(plain)


@given(SCORES)
@settings(max_examples=40)
def test_intervals_hold_their_estimate_and_stay_in_range(groups):
    normal = stats.clustered_mean(groups)
    drawn = stats.clustered_bootstrap(groups, seed=3, resamples=50)
    for interval in (normal, drawn):
        assert 0 <= interval.low <= interval.estimate <= interval.high <= 1
        assert interval.low < interval.high
        assert interval.n == len(groups)
    assert normal.estimate == drawn.estimate


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_where_nothing_varies_the_interval_is_wilson_on_problems(value):
    groups = [[value] * 8] * 20
    expected = stats.wilson(20 * value, 20)
    assert stats.clustered_mean(groups) == expected == stats.clustered_bootstrap(groups, seed=0)
    assert stats.clustered_mean([[0.0, 1.0]]) == stats.wilson(0.5, 1)


def test_bootstrap_repeats_by_seed_and_agrees_with_the_normal_interval():
    source = random.Random(1)
    groups = [[float(source.random() < rate) for _ in range(8)] for rate in (source.random() for _ in range(300))]
    first = stats.clustered_bootstrap(groups, seed=5)
    assert first == stats.clustered_bootstrap(groups, seed=5)
    assert first != stats.clustered_bootstrap(groups, seed=6)
    normal = stats.clustered_mean(groups)
    assert (first.low, first.high) == pytest.approx((normal.low, normal.high), abs=0.005)


def test_bootstrap_pieces_do_not_change_the_shape_of_the_answer():
    groups = [[0.0], [1.0]] * 2000  # 4,000 problems: 250 resamples a piece
    interval = stats.clustered_bootstrap(groups, seed=0, resamples=600)
    assert (interval.low, interval.high) == pytest.approx((0.4845, 0.5155), abs=0.004)


def test_coverage_of_95_percent_intervals():
    source = random.Random(7)
    wilson_hits = clustered_hits = naive_hits = 0
    for _ in range(400):
        wilson = stats.wilson(sum(source.random() < 0.2 for _ in range(60)), 60)
        wilson_hits += wilson.low <= 0.2 <= wilson.high
        rates = [source.random() for _ in range(60)]  # true mean 0.5
        groups = [[float(source.random() < rate) for _ in range(8)] for rate in rates]
        clustered = stats.clustered_mean(groups)
        clustered_hits += clustered.low <= 0.5 <= clustered.high
        naive = stats.wilson(sum(map(sum, groups)), 480)
        naive_hits += naive.low <= 0.5 <= naive.high
    assert 0.92 <= wilson_hits / 400 <= 0.98
    assert 0.92 <= clustered_hits / 400 <= 0.98
    assert naive_hits / 400 < 0.85  # what goes wrong without clusters


@given(n=st.integers(1, 7), data=st.data())
def test_pass_at_k_is_the_mean_over_all_subsets(n, data):
    correct, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    answers = [1] * correct + [0] * (n - correct)
    subsets = list(itertools.combinations(answers, k))
    assert stats.pass_at_k(n, correct, k) == pytest.approx(sum(map(max, subsets)) / len(subsets), abs=1e-12)


def test_pass_at_k_edges():
    assert math.isnan(stats.pass_at_k(4, 2, 5))
    assert stats.pass_at_k(10_000, 1, 5_000) == pytest.approx(0.5)
    assert stats.pass_at_k(8, 3, 1) == pytest.approx(3 / 8)
    mean = stats.mean_pass_at_k([(4, 0), (4, 1), (4, 4)], 2)
    assert mean.estimate == pytest.approx((0 + 0.5 + 1) / 3) and mean.n == 3
    assert math.isnan(stats.mean_pass_at_k([(4, 0), (1, 1)], 2).estimate)


def test_majority():
    assert stats.majority(["7", "8", None, "8"]) == "8"
    assert stats.majority(["7", "8", None, None]) == "7"
    assert stats.majority([None]) is None and stats.majority([]) is None


@given(b_only=st.integers(0, 9), a_only=st.integers(0, 9))
def test_mcnemar_against_all_coin_sequences(b_only, a_only):
    n = b_only + a_only
    distance = abs(b_only - a_only)
    as_uneven = sum(math.comb(n, heads) for heads in range(n + 1) if abs(2 * heads - n) >= distance)
    assert stats.mcnemar_exact(b_only, a_only) == pytest.approx(as_uneven / 2**n)


def test_paired_difference_counts_and_interval():
    a = [[0.0]] * 60 + [[1.0]] * 40
    b = [[1.0]] * 30 + [[0.0]] * 35 + [[1.0]] * 35
    result = stats.paired_difference(a, b, seed=1)
    assert (result.wins, result.losses, result.ties) == (30, 5, 65)
    assert result.normal.estimate == result.bootstrap.estimate == pytest.approx(0.25)
    variance = (30 * 0.75**2 + 5 * 1.25**2 + 65 * 0.25**2) / 99
    assert result.normal.high - 0.25 == pytest.approx(1.984217 * math.sqrt(variance / 100), abs=1e-5)
    assert (result.bootstrap.low, result.bootstrap.high) == pytest.approx(
        (result.normal.low, result.normal.high), abs=0.02
    )
    assert result.p_value == pytest.approx(stats.mcnemar_exact(30, 5)) and result.p_value < 1e-4


@given(SCORES)
@settings(max_examples=40)
def test_paired_difference_is_antisymmetric(groups):
    other = groups[::-1]
    forth = stats.paired_difference(groups, other, seed=0, resamples=20)
    back = stats.paired_difference(other, groups, seed=0, resamples=20)
    assert forth.normal.estimate == pytest.approx(-back.normal.estimate, abs=1e-12)
    assert (forth.normal.low, forth.normal.high) == pytest.approx((-back.normal.high, -back.normal.low), abs=1e-9)
    assert (forth.wins, forth.losses) == (back.losses, back.wins)


def test_paired_difference_of_identical_results_is_not_certain():
    same = [[1.0]] * 50
    result = stats.paired_difference(same, same, seed=0)
    assert result.normal == result.bootstrap
    assert result.normal.low == -result.normal.high < 0 and result.normal.high == pytest.approx(
        stats.wilson(0, 50).high
    )
    assert result.p_value == 1.0


def test_more_samples_a_problem_have_no_mcnemar():
    several = stats.paired_difference([[0.0, 1.0], [1.0, 1.0]], [[1.0], [0.0]], seed=0)
    assert not several.is_mcnemar and several.p_value == 1.0


def test_sign_flips_are_those_of_enumeration_and_of_the_coin() -> None:
    moves = [0.5, 0.25, -0.125, 0.5, 0.0]
    signs = itertools.product((-1, 1), repeat=4)
    as_far = [abs(sum(s * m for s, m in zip(row, moves, strict=False))) >= 1.125 for row in signs]
    assert stats.sign_flip_p(moves, seed=0) == sum(as_far) / 16
    # Moves of one size are McNemar's coin.
    coin = [1.0] * 12 + [-1.0] * 4
    assert stats.sign_flip_p(coin, seed=0) == pytest.approx(stats.mcnemar_exact(12, 4), abs=0.01)
    assert stats.sign_flip_p(coin, seed=0) == stats.sign_flip_p(coin, seed=0)
    assert stats.sign_flip_p([0.0, 0.0], seed=0) == 1.0


def test_p_values_are_uniform_where_nothing_differs() -> None:
    source = random.Random(5)
    below = 0
    for number in range(400):
        moves = [source.gauss(0, 1) * source.choice([0, 1, 1]) for _ in range(25)]
        below += stats.sign_flip_p(moves, seed=number, draws=400) <= 0.05
    assert 8 <= below <= 34, "about 20 of 400"


def test_holm() -> None:
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([]) == [] and stats.holm([0.7, 0.9]) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("first", "n_first", "second", "n_second", "least"),
    [(0.4, 60, 0.7, 40, 0.93), (0.02, 58, 0.1, 42, 0.93), (0.8, 200, 0.95, 200, 0.93), (0.3, 20, 0.5, 15, 0.93)],
)
def test_coverage_of_a_harmonic_mean(first: float, n_first: int, second: float, n_second: int, least: float) -> None:
    """ProcessBench's F1, in 1,000 simulated sets. A bootstrap covers 68% in the second case."""
    rng = random.Random(5)
    covered = 0
    truth = 2 * first * second / (first + second)
    for trial in range(1000):
        answers = [[rng.random() < share for _ in range(n)] for share, n in ((first, n_first), (second, n_second))]
        interval = stats.harmonic_interval(*answers, seed=trial, draws=500)
        covered += interval.low <= truth <= interval.high
    assert covered / 1000 >= least - 0.015


def test_a_harmonic_mean_of_nothing_right_is_not_sure_to_be_zero() -> None:
    interval = stats.harmonic_interval([False] * 58, [False] * 42, seed=0)
    assert interval.estimate == interval.low == 0.0 and 0.02 < interval.high < 0.1 and interval.n == 100
    assert stats.harmonic_interval([True] * 9, [True] * 9, seed=0).low < 0.95
    for bad in ([], [True]), ([True], []):
        with pytest.raises(ValueError, match="answers of both kinds"):
            stats.harmonic_interval(*bad, seed=0)
    with pytest.raises(ValueError, match="draws must be at least 1"):
        stats.harmonic_interval([True], [True], seed=0, draws=0)


def test_importing_does_not_load_numpy():
    code = "import sys, reasonrl.stats; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
