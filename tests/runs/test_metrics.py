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
    page = metrics.metrics_page()
    for entry in metrics.ENTRIES:
        assert entry.meaning and entry.unit, entry.name
        assert entry.written_by and set(entry.written_by) <= set(metrics.WRITERS), entry.name
        assert f"`{entry.name}`" in page


@pytest.mark.parametrize(
    ("name", "registered"),
    [
        ("reward/mean", "reward/mean"),
        ("reward/correctness", "reward/<part>"),
        ("eval/gsm8k-test/greedy_low", "eval/<set>/greedy_low"),
        ("eval/held.out/any_of_n", "eval/<set>/any_of_n"),
        ("eval/x/sampled_refine_high", "eval/<set>/sampled_refine_high"),
        ("eval/x/greedy_refine_empty_low", "eval/<set>/greedy_refine_empty_low"),
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
        "eval/x/greedy_",
        "eval/x/<mode>_n",
        "eval/x/greedy_n_low",
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


def test_check_names_knows_who_writes_what():
    metrics.check_names(["reward/mean", "rollouts/failed", "memory/gpu_peak_mb"], "verl")
    metrics.check_names(["reward/mean", "policy/kl_ref"], "vllm")
    message = r"verl is not registered to write: 'policy/kl_ref' \(written by local, vllm\)"
    with pytest.raises(ValueError, match=message):
        metrics.check_names({"step": 1, "reward/mean": 0.5, "policy/kl_ref": 0.1}, "verl")
    with pytest.raises(ValueError, match="backend 'cuda': write one of local, verl"):
        metrics.check_names({}, "cuda")


def test_what_both_trainers_write():
    local, verl = metrics.names_written_by("local"), metrics.names_written_by("verl")
    assert {"policy/entropy", "policy/surprise", "optim/updates", "eval/<set>/greedy_unjudged"} <= local & verl
    assert {"rollouts/failed", "loss/value"} == verl - local
