"""Which metrics real runs have written, held against what the registry says that their backend writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reasonrl.runs.metrics import ROW_KEYS, check_names, describe, names_written_by
from tests.tiny_runs import rows

Row = Mapping[str, Any]


def rows_below(*folders: Path) -> list[dict[str, Any]]:
    """All rows of metrics.jsonl in these folders and below."""
    return [row for folder in folders for path in sorted(folder.rglob("metrics.jsonl")) for row in rows(path)]


def registered_names(metric_rows: Iterable[Row]) -> set[str]:
    """The registered names of all metrics in these rows, such as reward/<part>.

    Raises:
        KeyError: one is not registered.
    """
    return {describe(name).name for row in metric_rows for name in row if name not in ROW_KEYS}


def missing_names(metric_rows: Iterable[Row], backend: str) -> list[str]:
    """What `backend` is said to write and no row holds."""
    return sorted(names_written_by(backend) - registered_names(metric_rows))


def assert_written(metric_rows: Iterable[Row], backend: str) -> None:
    """Fail where the rows hold a metric that `backend` is not said to write ("gpu" exempt), or lack one that it is.

    `metric_rows` are those of several runs that together switch on everything that the backend has.
    """
    metric_rows = list(metric_rows)
    assert metric_rows, "no rows"
    for row in metric_rows:
        check_names(row, backend)
    missing = missing_names(metric_rows, backend)
    assert not missing, f"{backend} is said to write these, and no row holds them: {', '.join(missing)}"
