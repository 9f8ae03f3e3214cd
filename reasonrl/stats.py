"""Intervals, unbiased pass@k and paired comparison: every reported number has its sample size and a 95%
interval.

Answers to the same problem are not independent, so the problem is the unit: standard errors are clustered by problem
and the bootstrap draws whole problems (Miller, "Adding Error Bars to Evals", arXiv 2411.00640). Scores lie in [0, 1].
Answers that could not be judged are not scores: leave them out before you call this module, and report their number.

numpy is imported only by the bootstrap; nothing here touches a global random generator.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    import numpy as np

Answer = TypeVar("Answer")
_ZERO_ERROR = 1e-12


class Interval(NamedTuple):
    """An estimate with its confidence interval. `n` counts the independent units: the problems, or the answers when
    each has its own.
    """

    estimate: float
    low: float
    high: float
    n: int


class PairedDifference(NamedTuple):
    """`b - a` on the same problems.

    `normal` is the clustered interval of Student's t and `bootstrap` the paired percentile bootstrap over problems,
    both around the same estimate. `wins`, `losses` and `ties` count problems on which b scores higher, lower, the same.
    `p_value` is two-sided: McNemar's exact one (`is_mcnemar`), or the sign-flip test where some problem has more than
    one sample or a score other than 0 and 1.
    """

    normal: Interval
    bootstrap: Interval
    wins: int
    losses: int
    ties: int
    p_value: float
    is_mcnemar: bool = True


def wilson(successes: float, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval for a share of `n` independent yes/no answers.

    It stays inside [0, 1] and is not empty at 0 of n or n of n. A fractional count of successes is allowed.

    Raises:
        ValueError: n < 1, successes outside [0, n], or confidence outside (0, 1).
    """
    if n < 1:
        raise ValueError("an interval needs at least one answer, not n = 0")
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}: the number must be from 0 to {n}")
    share = successes / n
    low, high = _wilson_bounds(share, n, _z(confidence))
    return Interval(share, low, high, n)


def clustered_standard_error(groups: Sequence[Sequence[float]]) -> float:
    """Standard error of the mean of all scores, clustered by problem.

    `sqrt(sum_c (sum_i (s_ic - mean))^2) / N`, arXiv 2411.00640 eq. 4, times `sqrt(C / (C - 1))` for the few clusters:
    with one score a problem this is the usual standard error of the mean.

    Args:
        groups: the scores of each problem, one inner list a problem. [C][samples]

    Raises:
        ValueError: fewer than two problems, an empty group, or a score outside [0, 1].
    """
    mean, total = _mean(groups)
    if len(groups) < 2:
        raise ValueError("a clustered standard error needs at least two problems")
    residuals = math.fsum((math.fsum(group) - len(group) * mean) ** 2 for group in groups)
    return math.sqrt(residuals * len(groups) / (len(groups) - 1)) / total


def clustered_mean(groups: Sequence[Sequence[float]], confidence: float = 0.95) -> Interval:
    """avg@n: the mean of all scores with its clustered interval. `n` is the number of problems.

    The interval is Wilson's for as many independent answers as would have the clustered standard error, with the
    quantile of Student's t for C - 1 degrees of freedom (the confidence interval of Korn and Graubard's effective
    sample size, Survey Methodology 24, 1998, with Wilson's in place of Clopper and Pearson's). The plain normal
    interval is too short for sets of 30 problems and near 0 and 1 (docs/evaluation.md).

    When the problems do not differ (all 0, all 1, all the same share) or there is only one, the standard error says
    nothing: then it is Wilson's interval on as many answers as there are problems, which is wide where the data say
    little.

    Raises:
        ValueError: no problems, an empty group, a score outside [0, 1].
    """
    mean, _ = _mean(groups)
    error = clustered_standard_error(groups) if len(groups) > 1 else 0.0
    if error <= _ZERO_ERROR or not 0 < mean < 1:
        return wilson(mean * len(groups), len(groups), confidence)
    low, high = _wilson_bounds(mean, mean * (1 - mean) / error**2, student_t(len(groups) - 1, confidence))
    return Interval(mean, low, high, len(groups))


def clustered_bootstrap(
    groups: Sequence[Sequence[float]], *, seed: int, resamples: int = 2000, confidence: float = 0.95
) -> Interval:
    """avg@n with the percentile bootstrap that draws whole problems. The same fallback as `clustered_mean` where
    nothing varies.

    Raises:
        ValueError: no problems, an empty group, a score outside [0, 1], or resamples < 1.
    """
    mean, _ = _mean(groups)
    if len(groups) < 2 or clustered_standard_error(groups) <= _ZERO_ERROR:
        return wilson(mean * len(groups), len(groups), confidence)
    sums = [math.fsum(group) for group in groups]
    sizes = [len(group) for group in groups]
    low, high = _percentiles(
        lambda draw, array: array(sums)[draw].sum(1) / array(sizes)[draw].sum(1),
        len(groups),
        seed,
        resamples,
        confidence,
    )
    return Interval(mean, min(low, mean), max(high, mean), len(groups))


def harmonic_interval(
    first: Sequence[bool], second: Sequence[bool], *, seed: int, draws: int = 4000, confidence: float = 0.95
) -> Interval:
    """Harmonic mean of two shares (ProcessBench's F1), with the percentiles of draws from the two posteriors of
    Jeffreys: Beta(k + 1/2, n - k + 1/2) for k of n.

    A bootstrap of shares of 0 or 1 has no spread, and claims to be sure where nothing was right.
    0 where both shares are 0. `n` is the number of answers in all. Raises ValueError for an empty set or draws < 1.
    """
    import numpy as np

    if not first or not second:
        raise ValueError("a harmonic mean of two shares needs answers of both kinds")
    if draws < 1:
        raise ValueError(f"draws must be at least 1, not {draws}")
    _z(confidence)
    generator = np.random.default_rng(seed)
    counts = [(sum(answers), len(answers)) for answers in (first, second)]
    a, b = (generator.beta(k + 0.5, n - k + 0.5, draws) for k, n in counts)
    low, high = np.quantile(2 * a * b / (a + b), [(1 - confidence) / 2, (1 + confidence) / 2])
    shares = [k / n for k, n in counts]
    estimate = 2 * shares[0] * shares[1] / sum(shares) if sum(shares) > 0 else 0.0
    return Interval(estimate, min(float(low), estimate), max(float(high), estimate), len(first) + len(second))


def pass_at_k(n: int, correct: int, k: int) -> float:
    """The unbiased chance that at least one of k answers is right, from `correct` right ones of n: `1 - C(n-c, k) /
    C(n, k)`.

    arXiv 2107.03374 eq. 1, computed in exact integers. NaN when n < k: there is no unbiased estimate then.

    Raises:
        ValueError: k < 1 or correct outside [0, n].
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    if not 0 <= correct <= n:
        raise ValueError(f"{correct} right answers of {n}: the number must be from 0 to {n}")
    if n < k:
        return math.nan
    misses, draws = math.comb(n - correct, k), math.comb(n, k)
    return (draws - misses) / draws


def mean_pass_at_k(counts: Sequence[tuple[int, int]], k: int, confidence: float = 0.95) -> Interval:
    """pass@k over problems. `counts` holds (samples, right ones) of each problem; all NaN when some problem has fewer
    than k samples.

    Raises:
        ValueError: no problems, or what `pass_at_k` raises.
    """
    values = [pass_at_k(n, correct, k) for n, correct in counts]
    if any(math.isnan(value) for value in values):
        return Interval(math.nan, math.nan, math.nan, len(values))
    return clustered_mean([[value] for value in values], confidence)


def majority(answers: Sequence[Answer | None]) -> Answer | None:
    """The most frequent answer; of equally frequent ones the earliest. None (nothing was read) does not vote, and wins
    only alone.
    """
    votes = Counter(answer for answer in answers if answer is not None)
    return max(votes, key=votes.__getitem__) if votes else None


def paired_difference(
    a: Sequence[Sequence[float]],
    b: Sequence[Sequence[float]],
    *,
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> PairedDifference:
    """How much better b is than a on the same problems: the mean over problems of (mean score of b - mean score of a).

    Pairing removes the spread between easy and hard problems from the interval (arXiv 2411.00640 section 4). When every
    problem has moved by the same amount, both intervals would be empty: then they reach as far as Wilson's bound for 0
    of n, the share of problems that may still behave differently.

    Args:
        a: the scores of each problem under a. [P][samples]
        b: the same problems in the same order; the number of samples may differ.

    Raises:
        ValueError: no problems, unequal numbers of problems, an empty group, or a score outside [0, 1].
    """
    _mean(a)
    _mean(b)
    if len(a) != len(b):
        raise ValueError(
            f"a has {len(a)} problems and b has {len(b)}: a paired difference needs the same ones in the same order"
        )
    n = len(a)
    moves = [
        math.fsum(after) / len(after) - math.fsum(before) / len(before) for before, after in zip(a, b, strict=True)
    ]
    mean = math.fsum(moves) / n
    spread = math.fsum((move - mean) ** 2 for move in moves)
    error = math.sqrt(spread / (n - 1) / n) if n > 1 else 0.0
    if error <= _ZERO_ERROR:
        reach = wilson(0, n, confidence).high
        normal = bootstrap = Interval(mean, max(-1.0, mean - reach), min(1.0, mean + reach), n)
    else:
        half = student_t(n - 1, confidence) * error
        normal = Interval(mean, max(-1.0, mean - half), min(1.0, mean + half), n)
        low, high = _percentiles(lambda draw, array: array(moves)[draw].mean(1), n, seed, resamples, confidence)
        bootstrap = Interval(mean, min(low, mean), max(high, mean), n)
    wins = sum(move > _ZERO_ERROR for move in moves)
    losses = sum(move < -_ZERO_ERROR for move in moves)
    single = all(len(group) == 1 and group[0] in (0, 1) for group in (*a, *b))
    p_value = mcnemar_exact(wins, losses) if single else sign_flip_p(moves, seed=seed)
    return PairedDifference(normal, bootstrap, wins, losses, n - wins - losses, p_value, single)


def mcnemar_exact(b_only: int, a_only: int) -> float:
    """McNemar's exact two-sided p-value: the probability of so uneven a split of the problems that changed, if each is
    a fair coin.

    Args:
        b_only: problems that b alone solves.
        a_only: problems that a alone solves.

    Raises:
        ValueError: a negative count.
    """
    if min(b_only, a_only) < 0:
        raise ValueError("counts of problems cannot be negative")
    n = b_only + a_only
    tail = sum(math.comb(n, i) for i in range(min(b_only, a_only) + 1))
    return min(1.0, 2 * tail / 2**n)


def student_t(degrees: int, confidence: float = 0.95) -> float:
    """The two-sided quantile of Student's t: exact for 1 and 2 degrees of freedom, else the Cornish-Fisher expansion
    (Abramowitz and Stegun 26.7.5), within 0.2% at 95%.
    """
    if degrees < 1:
        raise ValueError(f"Student's t needs at least one degree of freedom, not {degrees}")
    z, upper = _z(confidence), 0.5 + confidence / 2
    if degrees == 1:
        return math.tan(math.pi * (upper - 0.5))
    if degrees == 2:
        return (2 * upper - 1) * math.sqrt(2 / (4 * upper * (1 - upper)))
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / degrees**power for power, term in enumerate(terms, 1))


def _wilson_bounds(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Wilson's bounds for a share of `n` answers. At the two ends the bound is exactly 0 or 1; rounding must not push
    it past the estimate.
    """
    square = quantile * quantile
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = quantile * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    low = 0.0 if share == 0 else min(max(0.0, centre - half), share)
    high = 1.0 if share == 1 else max(min(1.0, centre + half), share)
    return low, high


def sign_flip_p(moves: Sequence[float], *, seed: int, draws: int = 10_000) -> float:
    """Two-sided p-value of a mean move of 0: the share of random signs of the moves whose sum is at least as far from
    0. Exact for up to 13 moves that are not 0, else from `draws` draws, the data itself counted as one (Phipson and
    Smyth, arXiv:1603.05766).

    Args:
        moves: of each problem, b - a.
    """
    import numpy as np

    changed = np.array([move for move in moves if abs(move) > _ZERO_ERROR])
    if not len(changed):
        return 1.0
    seen = abs(changed.sum()) - _ZERO_ERROR
    if len(changed) <= 13:
        patterns = np.arange(2 ** len(changed))[:, None] >> np.arange(len(changed)) & 1
        return float((np.abs((2 * patterns - 1) @ changed) >= seen).mean())
    generator = np.random.default_rng(seed)
    hits, piece = 0, max(1, 1_000_000 // len(changed))
    for start in range(0, draws, piece):
        signs = generator.integers(0, 2, size=(min(piece, draws - start), len(changed))) * 2 - 1
        hits += int((np.abs(signs @ changed) >= seen).sum())
    return (hits + 1) / (draws + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the given order: the chance of one false finding among all stays below each
    (Scandinavian Journal of Statistics 6, 1979).
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = least
    return adjusted


def _z(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def _mean(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """The mean of all scores and how many there are."""
    if not groups:
        raise ValueError("an interval needs at least one problem, not n = 0")
    for position, group in enumerate(groups):
        if not len(group):
            raise ValueError(f"problem {position} has no scores: leave it out, and report how many were left out")
        if not all(0 <= score <= 1 for score in group):
            raise ValueError(f"problem {position} has a score outside [0, 1]; scale the scores first")
    total = sum(len(group) for group in groups)
    return min(1.0, math.fsum(score for group in groups for score in group) / total), total


def _percentiles(
    statistic: Callable[[np.ndarray, Callable[..., np.ndarray]], np.ndarray],
    n: int,
    seed: int,
    resamples: int,
    confidence: float,
) -> tuple[float, float]:
    """The percentile bounds of `statistic(draws [R, n], numpy.asarray) -> [R]` over draws of n units, in pieces of
    bounded memory.
    """
    import numpy as np

    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")
    _z(confidence)
    generator = np.random.default_rng(seed)
    piece = max(1, 1_000_000 // n)
    values = [
        statistic(generator.integers(0, n, size=(min(piece, resamples - start), n)), np.asarray)
        for start in range(0, resamples, piece)
    ]
    low, high = np.quantile(np.concatenate(values), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
