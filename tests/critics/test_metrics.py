"""Metrics against the numbers that papers print (checklist: 10 to 17)."""

from __future__ import annotations

import math

import pytest

from critics.metrics import (
    BinaryRates,
    delta_bench,
    discrimination,
    harmonic_mean,
    judge_bench,
    pass_after_refinement,
    process_bench,
    process_bench_mean,
    refinement_table,
)
from tests.critics.episodes import CORRECT, INCORRECT, episode


@pytest.mark.parametrize(
    ("errors", "correct", "f1", "tolerance"),
    [(46.9, 96.4, 63.10, 0.01), (55.9, 82.0, 66.48, 0.01), (39.0, 67.8, 49.52, 0.1), (34.4, 66.8, 45.41, 0.01)],
)
def test_process_bench_f1(errors: float, correct: float, f1: float, tolerance: float) -> None:
    assert 100 * harmonic_mean(errors / 100, correct / 100) == pytest.approx(f1, abs=tolerance)


def test_process_bench_counts() -> None:
    score = process_bench([0, 2, -1, None, -1], [0, 1, -1, -1, 3])
    assert (score.erroneous, score.correct) == (3, 2)
    assert (
        score.error_accuracy == pytest.approx(1 / 3)
        and score.correct_accuracy == 0.5
        and score.f1 == pytest.approx(0.4)
    )
    always = process_bench([-1] * 4, [-1, -1, 0, 2])
    assert always.f1 == 0.0 and always.correct_accuracy == 1.0
    assert process_bench([0, 1], [1, -1]).f1 == 0.0, "0/0 is 0, not NaN"
    assert process_bench_mean([score, always]) == pytest.approx(0.2)
    assert math.isnan(process_bench([1], [1]).correct_accuracy)


@pytest.mark.parametrize(
    ("a", "b", "average", "harmonic"),
    [(74.8, 76.9, 75.85, 75.84), (3.30, 95.0, 49.15, 6.38), (68.2, 52.8, 60.5, 59.52)],
)
def test_recalls_of_spc(a: float, b: float, average: float, harmonic: float) -> None:
    assert (a + b) / 2 == pytest.approx(average) and harmonic_mean(a, b) == pytest.approx(harmonic, abs=0.005)
    rows = [episode(True, CORRECT)] * round(10 * a) + [episode(True, INCORRECT)] * (1000 - round(10 * a))
    rows += [episode(False, INCORRECT)] * round(10 * b) + [episode(False, CORRECT)] * (1000 - round(10 * b))
    told = discrimination(rows)
    assert 100 * told.balanced_accuracy == pytest.approx(average) and 100 * told.harmonic == pytest.approx(
        harmonic, abs=0.005
    )


@pytest.mark.parametrize(
    ("up", "down", "after", "tolerance"),
    [
        (4.73, 0.85, 11.76, 0.001),
        (7.27, 0.97, 14.18, 0.001),
        (8.12, 0.85, 15.15, 0.001),
        (2.42, 1.33, 8.97, 0.001),
        (3.52, 3.03, 8.36, 0.02),
    ],
)
def test_the_identity_of_ctrl(up: float, down: float, after: float, tolerance: float) -> None:
    assert pass_after_refinement(7.88, up, down) == pytest.approx(after, abs=tolerance)
    assert pytest.approx(1.0609, abs=1e-4) == (16.24 - 7.88) / 7.88


def test_gains_of_critique_rl() -> None:
    before, after = (45.74, 75.66, 63.39), (58.40, 87.72, 65.75)
    gains = [b - a for a, b in zip(before, after, strict=True)]
    assert gains == pytest.approx([12.66, 12.06, 2.36]) and sum(gains) / 3 == pytest.approx(9.027, abs=1e-3)
    small = [b - a for a, b in zip((36.90, 66.03, 50.00), (48.60, 75.89, 56.69), strict=True)]
    assert small == pytest.approx([11.70, 9.86, 6.69])


def test_the_refinement_table_is_of_all_solutions() -> None:
    rows = (
        [episode(True, CORRECT, [True])] * 3
        + [episode(True, CORRECT, [False])]
        + [episode(False, INCORRECT, [True])] * 2
    )
    rows += [episode(False, CORRECT, [False])] * 4 + [episode(False, INCORRECT, [None])]
    table = refinement_table(rows)
    assert (table.solutions, table.unjudged) == (10, 1)
    assert (table.c2c, table.c2i, table.i2c, table.i2i) == pytest.approx((0.3, 0.1, 0.2, 0.4))
    assert table.accuracy == pytest.approx(0.5) and table.delta == pytest.approx(
        table.i2c - table.c2i
    ) == pytest.approx(table.accuracy - table.before)
    assert table.rightly_judged == pytest.approx(5 / 6)
    halves = refinement_table([episode(False, INCORRECT, [True, False]), episode(True, CORRECT)])
    assert halves.accuracy == 0.75 and halves.i2c == 0.25, "the mean over refinements; what was not refined stays"


def test_criticlean_rates_in_both_namings() -> None:
    gemini, small = BinaryRates(0.956, 0.828), BinaryRates(0.884, 0.856)
    assert gemini.accuracy == pytest.approx(0.892) and small.accuracy == pytest.approx(0.870)
    assert (gemini.fpr, gemini.fnr) == pytest.approx((0.172, 0.044))
    assert gemini.criticlean_naming == pytest.approx(
        {"ACC": 0.892, "TPR": 0.956, "FPR": 0.044, "TNR": 0.828, "FNR": 0.172}
    )


def test_delta_bench_official_and_honest() -> None:
    official, honest = delta_bench([2, 9], [2, 4], variant="official"), delta_bench([2, 9], [2, 4])
    assert (official.precision, official.recall) == (1.0, 0.5) and official.f1 == pytest.approx(2 / 3)
    assert (honest.precision, honest.recall, honest.f1) == (0.5, 0.5, 0.5)
    assert delta_bench(None, [1]).f1 == 0.0
    for arguments in (([1], []), ([1], [1], "kind")):
        with pytest.raises(ValueError, match=r"at least one|must be honest or official"):
            delta_bench(arguments[0], arguments[1], **({"variant": arguments[2]} if len(arguments) > 2 else {}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pair", "score"),
    [
        ((True, True), 1),
        ((True, None), 1),
        ((None, True), 1),
        ((True, False), 0),
        ((None, None), 0),
        ((False, None), 0),
    ],
)
def test_judge_bench(pair: tuple[bool | None, bool | None], score: float) -> None:
    assert judge_bench([pair]) == score


def test_both_conventions_of_discrimination() -> None:
    rows = (
        [episode(True, CORRECT)] * 4
        + [episode(False, INCORRECT)] * 3
        + [episode(False, CORRECT)] * 2
        + [episode(True, None)]
    )
    told = discrimination(rows)
    assert (
        told.accuracy_of_parsed == pytest.approx(7 / 9)
        and told.accuracy == pytest.approx(0.7)
        and told.parse_rate == 0.9
    )
    assert told.correct_recall == 0.8 and told.error_recall == 0.6 and told.false_alarm == 0.0
    assert discrimination([episode(True, INCORRECT), episode(True, CORRECT)]).false_alarm == 0.5
    with pytest.raises(ValueError, match="has no label"):
        discrimination([episode(None, CORRECT)])


def test_an_unread_critique_is_no_alarm_but_is_missed() -> None:
    told = discrimination([episode(True, None), episode(False, None)])
    assert told.false_alarm == 0.0 and told.correct_recall == told.error_recall == told.accuracy == 0.0
    assert math.isnan(told.accuracy_of_parsed)
