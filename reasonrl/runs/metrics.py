"""Looks metrics up: the meaning of a name, the names that a backend writes, and the page of the docs.

The metrics themselves are in `reasonrl.runs.metric_registry`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

from reasonrl.runs.metric_registry import ALL, ENTRIES, GROUPS, WRITERS, Metric
from reasonrl.words import nearest

ROW_KEYS = frozenset({"kind", "step", "stage"})
"""Keys of a metrics row that are not metrics."""

METRICS: list[Metric] = [metric for entry in ENTRIES for metric in entry.expanded()]
"""Every entry, with modes and interval ends written out."""
_PLACEHOLDERS = {"<part>": r"[^/]+", "<set>": r"[^/]+"}


def describe(name: str) -> Metric:
    """The registry's entry for a metric name. An exact name wins over a pattern.

    Raises:
        KeyError: the name is not registered.
    """
    exact, patterns = _index()
    if name in exact:
        return exact[name]
    for pattern, metric in patterns:
        if pattern.fullmatch(name):
            return metric
    raise KeyError(name)


def names_written_by(backend: str) -> set[str]:
    """The registered names that a backend ("local", "verl", "vllm", "gpu") may write, placeholders included.

    Raises:
        ValueError: the backend is unknown.
    """
    if backend not in WRITERS:
        raise ValueError(f"backend {backend!r}: write one of {', '.join(WRITERS)}")
    return {metric.name for metric in METRICS if backend in metric.written_by}


def check_names(row: Mapping[str, object] | Iterable[str], backend: str | None = None) -> None:
    """Check that every key of a metrics row is registered (or one of `ROW_KEYS`), and, with `backend`, that this
    backend is said to write it. On a GPU any backend may write what "gpu" does.

    Raises:
        ValueError: some are not; the message lists all of them, each with the nearest registered name or its writers.
    """
    written = None if backend is None else names_written_by(backend) | names_written_by("gpu")
    unknown, misplaced = [], []
    for name in row:
        if name in ROW_KEYS:
            continue
        try:
            metric = describe(name)
        except KeyError:
            registered = nearest(name, [metric.name for metric in METRICS])
            unknown.append(f"{name!r}" + (f" (nearest: {registered!r})" if registered else ""))
            continue
        if written is not None and metric.name not in written:
            misplaced.append(f"{name!r} (written by {', '.join(metric.written_by)})")
    problems = [f"metrics that are not registered: {', '.join(unknown)}"] if unknown else []
    problems += [f"metrics that {backend} is not registered to write: {', '.join(misplaced)}"] if misplaced else []
    if problems:
        raise ValueError("; ".join(problems) + ". Register them in reasonrl/runs/metric_registry.py.")


_FIRST = [
    (
        "`eval/<set>/greedy` with its interval",
        "rises above the interval of step 0",
        "[nothing is learnt](troubleshooting.md#nothing-is-learnt-although-groups-are-mixed)",
    ),
    (
        "`groups/mixed` of `groups/total`",
        "at least a third",
        "[a dead run](troubleshooting.md#a-dead-run-no-group-carries-signal)",
    ),
    (
        "`reward/mean` with `reward/std`",
        "the mean rises, the deviation stays above 0",
        "[nothing is learnt](troubleshooting.md#nothing-is-learnt-although-groups-are-mixed)",
    ),
    (
        "`rollouts/truncated` and `rollouts/unparsed` of `rollouts/total`",
        "under a tenth, and falling",
        "[cut-off responses](troubleshooting.md#cut-off-responses)",
    ),
    (
        "`policy/entropy`",
        "falls slowly, and not to 0",
        "[nothing is learnt](troubleshooting.md#nothing-is-learnt-although-groups-are-mixed)",
    ),
]
"""(what to look at, what is healthy, where to read on if it is not)."""

_INTRODUCTION = """\
# Metrics

These are the numbers in `metrics.jsonl`, TensorBoard, the report and the viewer. In a name, `<part>` is a reward part
of the recipe, `<set>` is an evaluation set, and `<mode>` is `greedy` or `sampled`. Where `_low`, `_high` follow a name,
the ends of its 95% interval are written with these endings. Healthy ranges are rules of thumb.

## Start here

Five numbers say most about a run. A count, such as `groups/mixed`, is compared with the total beside it.

FIRST

A line of the terminal abbreviates: `right` is `accuracy/train`, `mixed` `groups/mixed`, `solved` `groups/all_correct`,
`failed` `groups/all_wrong`, `unread` the share of `rollouts/unparsed`, `cut off` the share of `rollouts/truncated`.

Where time is lost is in [it is slow](troubleshooting.md#it-is-slow).

## All metrics

Responses that were not judged (status timeout or error: [concepts](concepts.md#an-error-is-not-a-zero)) are left out of
every accuracy: in evaluations, comparisons, reports and training. They are counted separately, and the accuracy if all
of them were wrong is shown as a bound. Unparsed responses are judged: they count as wrong.

The last column says who writes a metric (all: local, verl and vllm). Most metrics belong to a method and are written
where it is switched on.

WRITERS

verl writes neither `policy/kl_ref` nor `policy/corrected`; there `loss/kl` shows the penalty of
`train.kl.where: loss`.

This page is generated from `reasonrl/runs/metric_registry.py`.
"""


def metrics_page() -> str:
    """The text of docs/metrics.md: one table a group."""
    first = ["| look at | healthy | if not |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in _FIRST)]
    writers = [f"- {name}: {runs}" for name, runs in WRITERS.items()]
    lines = [_INTRODUCTION.rstrip().replace("FIRST", "\n".join(first)).replace("WRITERS", "\n".join(writers))]
    for group, title in GROUPS.items():
        lines += ["", f"## {group}", "", f"{title}.", "", "| metric | meaning | unit | healthy | written by |"]
        lines += ["|---|---|---|---|---|", *(_table_row(entry) for entry in ENTRIES if entry.group == group)]
    return "\n".join(lines) + "\n"


def _table_row(entry: Metric) -> str:
    name = f"`{entry.name}`" + (", `_low`, `_high`" if entry.interval else "")
    meaning = entry.meaning.replace("|", "\\|")
    writers = "all" if entry.written_by == ALL else ", ".join(entry.written_by)
    return f"| {name} | {meaning} | {entry.unit} | {entry.healthy} | {writers} |"


@cache
def _index() -> tuple[dict[str, Metric], list[tuple[re.Pattern[str], Metric]]]:
    exact: dict[str, Metric] = {}
    patterns: list[tuple[re.Pattern[str], Metric]] = []
    for metric in METRICS:
        if "<" not in metric.name:
            exact[metric.name] = metric
            continue
        expression = re.escape(metric.name)
        for placeholder, inner in _PLACEHOLDERS.items():
            expression = expression.replace(re.escape(placeholder), inner)
        patterns.append((re.compile(expression), metric))
    return exact, patterns
