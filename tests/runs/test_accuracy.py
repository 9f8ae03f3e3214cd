"""One convention for answers that could not be judged: left out, counted, shown as a bound."""

from __future__ import annotations

import random

import pytest

from reasonrl import stats
from reasonrl.runs.accuracy import Accuracy, accuracy_in_row, accuracy_of


def test_one_answer_a_problem():
    accuracy = accuracy_of([[True], [False], [None], [True]])
    assert accuracy == Accuracy(stats.wilson(2, 3), answers=4, unjudged=1, if_unjudged_wrong=0.5)
    assert accuracy.unjudged_text() == "1 of 4 answers not judged, 50.0% if all of these were wrong"


def test_samples_are_clustered_by_problem_and_a_problem_without_a_judged_one_is_left_out():
    accuracy = accuracy_of([[True, None], [False, True], [None, None]])
    assert accuracy.interval == stats.clustered_mean([[1.0], [0.0, 1.0]])
    assert (accuracy.answers, accuracy.unjudged, accuracy.if_unjudged_wrong) == (6, 3, 2 / 6)


def test_nothing_judged_is_no_accuracy_at_all():
    accuracy = accuracy_of([[None], [None]])
    assert accuracy.interval is None and accuracy.if_unjudged_wrong == 0.0
    assert accuracy.metrics("k") == {"k_n": 0, "k_unjudged": 2, "k_if_unjudged_wrong": 0.0}
    with pytest.raises(ValueError, match="at least one answer"):
        accuracy_of([])


@pytest.mark.parametrize("samples", [1, 3])
def test_where_everything_was_judged_nothing_changes(samples):
    """To the last bit: Wilson's interval of all answers, the clustered one of all samples."""
    source = random.Random(samples)
    for problems in (1, 2, 7, 50):
        outcomes = [[source.random() < 0.4 for _ in range(samples)] for _ in range(problems)]
        scores = [[float(correct) for correct in group] for group in outcomes]
        old = stats.wilson(sum(map(sum, scores)), problems) if samples == 1 else stats.clustered_mean(scores)
        accuracy = accuracy_of(outcomes)
        assert accuracy.interval == old
        assert accuracy.unjudged == 0 and accuracy.if_unjudged_wrong == old.estimate and not accuracy.unjudged_text()


@pytest.mark.parametrize("mode", ["greedy", "sampled"])
@pytest.mark.parametrize("outcomes", [[[True], [False], [None]], [[None], [None]], [[True], [True]]])
def test_a_row_gives_back_what_was_written(mode, outcomes):
    accuracy = accuracy_of(outcomes)
    row = {"eval/s/problems": len(outcomes), "eval/s/samples_per_problem": 1, **accuracy.metrics(f"eval/s/{mode}")}
    assert accuracy_in_row(row, "s", mode) == accuracy
    assert accuracy_in_row(row, "t", mode) is None


def test_rows_of_older_runs():
    row = {"eval/s/greedy": 0.4, "eval/s/greedy_low": 0.3, "eval/s/greedy_high": 0.5, "eval/s/problems": 90}
    assert accuracy_in_row(row, "s", "greedy") == Accuracy(stats.Interval(0.4, 0.3, 0.5, 90), 90, 0, 0.4)
    assert accuracy_in_row({"eval/s/greedy": 0.5, "eval/s/problems": 10}, "s", "greedy").interval == stats.wilson(5, 10)
    assert accuracy_in_row({"eval/s/greedy": 0.5}, "s", "greedy").interval == stats.Interval(0.5, 0.0, 1.0, 0)
