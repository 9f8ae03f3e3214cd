"""The registry explains every metric, and the docs page is what it generates."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasonrl.runs import metrics

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_docs_page_is_up_to_date():
    expected = metrics.metrics_page()
    assert PAGE.read_text(encoding="utf-8") == expected, (
        "write docs/metrics.md again from reasonrl.runs.metrics.metrics_page()"
    )


def test_every_metric_is_complete_and_unique():
    names = [metric.name for metric in metrics.METRICS]
    assert len(names) == len(set(names))
    assert {metric.group for metric in metrics.METRICS} == set(metrics.GROUPS)
    for metric in metrics.METRICS:
        assert metric.meaning and metric.unit, metric.name
        assert f"`{metric.name}`" in metrics.metrics_page()


@pytest.mark.parametrize(
    ("name", "registered"),
    [
        ("reward/mean", "reward/mean"),
        ("reward/correctness", "reward/<part>"),
        ("eval/gsm8k-test/greedy_low", "eval/<set>/greedy_low"),
        ("eval/held.out/any_of_n", "eval/<set>/any_of_n"),
        ("eval/x/pass_at_16", "eval/<set>/pass_at_<k>"),
        ("time/rollout_s", "time/rollout_s"),
    ],
)
def test_describe(name, registered):
    assert metrics.describe(name).name == registered


@pytest.mark.parametrize(
    "name",
    [
        "reward",
        "reward/a/b",
        "eval/greedy",
        "eval/x/pass_at_0",
        "eval/x/greedy_",
        "time/rollout",
        "Reward/mean",
        "eval//greedy",
    ],
)
def test_unknown_names(name):
    with pytest.raises(KeyError):
        metrics.describe(name)


def test_check_names_lists_every_mistake_with_the_nearest_name():
    metrics.check_names({"kind": "train", "step": 3, "reward/mean": 0.5, "groups/mixed": 4})
    with pytest.raises(ValueError, match=r"'groups/mixd' \(nearest: 'groups/mixed'\), 'zzz'"):
        metrics.check_names({"kind": "train", "step": 3, "groups/mixd": 4, "zzz": 1})
