"""Rows of a run are JSON whatever their values are, and a file is read back as it was meant."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.runs.folder import RunFolder, append_rows, keep_rows_until
from reasonrl.runs.plots import groups, phases, train_bound
from reasonrl.runs.reading import Run
from reasonrl.runs.report import report_html, write_report
from reasonrl.runs.row_text import row_text
from reasonrl.runs.viewer_api import metrics_data
from tests.runs.fake_run import fake_header, fake_run, fake_sample, write_rows
from tests.tiny_runs import rows


def strict(text: str) -> Any:
    """As programs in other languages read JSON."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text.encode(), parse_constant=refuse)


class Colour(enum.Enum):
    RED = "red"


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


class Unlisted:
    def tolist(self) -> list[int]:
        raise RuntimeError("no list")

    def __repr__(self) -> str:
        return "unlisted"


CIRCLE: list[Any] = [1]
CIRCLE.append(CIRCLE)
DEEP: Any = "bottom"
for _ in range(5000):
    DEEP = [DEEP]


VALUES: list[tuple[Any, Any]] = [
    (math.nan, None), (math.inf, None), ([1.5, -math.inf], [1.5, None]),
    ({"a": {"b": math.nan}}, {"a": {"b": None}}),
    (np.float32(0.5), 0.5), (np.float64("nan"), None), (np.int64(3), 3), (np.bool_(True), True),
    (np.array([[1, 2]]), [[1, 2]]), (np.array([1.0, np.nan]), [1.0, None]), (np.str_("a"), "a"),
    (torch.tensor(2), 2), (torch.tensor([1.0, float("inf")]), [1.0, None]),
    (torch.tensor([0.5], requires_grad=True), [0.5]),
    ({2, 1}, [1, 2]), (frozenset("b"), ["b"]), ((1, (2,)), [1, [2]]), (b"caf\xc3\xa9 \xff", "café \\xff"),
    ({1: "a", None: "b", (1, 2): "c"}, {"1": "a", "None": "b", "(1, 2)": "c"}), (Colour.RED, "red"),
    (decimal.Decimal("0.1"), "Decimal('0.1')"), (datetime.date(2026, 1, 2), "datetime.date(2026, 1, 2)"),
    (Silent(), "Silent"), (Unlisted(), "unlisted"), (CIRCLE, [1, "..."]), (10**5000, hex(10**5000)),
    (len, "<built-in function len>"), ("\ud800", "\ud800"), ({"\udfff": 1}, {"\udfff": 1}),
    ("a\u2028b\n", "a\u2028b\n"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=range(len(VALUES)))
def test_a_value_that_json_lacks_becomes_the_nearest_one(value: Any, expected: Any) -> None:
    text = row_text({"value": value, "step": 1})
    assert "\n" not in text and strict(text)["step"] == 1
    shown = strict(text)["value"]
    assert expected in shown if expected == "Silent" else shown == expected


@pytest.mark.parametrize("limit", [1000, 20_000])
def test_what_is_nested_too_deeply_is_cut_whatever_python_allows(limit: int) -> None:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        text = row_text({"value": DEEP})
    finally:
        sys.setrecursionlimit(before)
    assert '"..."' in text and strict(text)


def test_a_row_of_many_lists_that_are_not_deep_is_written_whole() -> None:
    row = {"value": [[i, {None: (i,), True: 0.5}] for i in range(500)]}
    assert row_text(row) == json.dumps(row)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), PLAIN, max_size=4))
def test_what_json_has_is_written_as_before(row: dict[str, Any]) -> None:
    assert row_text(row) == json.dumps(row, ensure_ascii=False) and strict(row_text(row)) == row


def test_both_files_of_a_run_are_valid_and_rows_stay_as_they_are_on_resume(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for step in (1, 2, 3):
        folder.add_metrics({"kind": "train", "step": step, "loss/policy": math.nan, "reward/mean": 0.1 + step})
        folder.add_samples([fake_sample(step=step, note={1, 2}, reward=math.nan, response="\ud83d")])
    old = (tmp_path / "metrics.jsonl").read_bytes()
    for name in ("metrics.jsonl", "samples.jsonl"):
        before = (tmp_path / name).read_bytes()
        assert [strict(line)["step"] for line in before.decode().splitlines()] == [1, 2, 3]
        keep_rows_until(tmp_path / name, 2)
        assert (tmp_path / name).read_bytes() == b"".join(before.splitlines(keepends=True)[:2])
    (tmp_path / "metrics.jsonl").write_bytes(old.replace(b"null", b"NaN"))
    keep_rows_until(tmp_path / "metrics.jsonl", 3)
    assert (tmp_path / "metrics.jsonl").read_bytes() == old.replace(b"null", b"NaN"), "rows of an older version"


def test_a_report_shows_half_a_surrogate_pair_by_its_number(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run", steps=2)
    path = run / "samples.jsonl"
    path.write_text("".join(json.dumps({**row, "response": "a \ud83d <b>"}) + "\n" for row in rows(path)))
    assert r"a \ud83d &lt;b&gt;" in write_report(run).read_text(encoding="utf-8")


def test_a_row_that_cannot_be_written_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    class Broken(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError("no items")

    path = tmp_path / "samples.jsonl"
    append_rows(path, [{"step": 1}])
    with pytest.raises(RuntimeError):
        append_rows(path, [{"step": 2}, Broken(a={1})])
    assert rows(path) == [{"step": 1}]


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "null", "1e999"])
def test_a_metric_without_a_finite_value_is_not_drawn_as_0(tmp_path: Path, token: str) -> None:
    run = Run.open(fake_run(tmp_path / "run", steps=3, problems=4, samples=2, eval_every=3))
    path = run.path / "metrics.jsonl"
    whole = report_html(run)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    spoilt = [{name: value if name in ("kind", "step") else "HERE" for name, value in row.items()} for row in lines]
    path.write_text("".join(json.dumps(row).replace('"HERE"', token) + "\n" for row in spoilt))
    seen = run.metrics()
    assert [row["step"] for row in seen] == [row["step"] for row in lines]
    assert all(value is None for row in seen for name, value in row.items() if name not in ("kind", "step"))
    assert groups(seen) is None and phases(seen) is None and train_bound(seen) == []
    assert metrics_data(run)["metrics"] == []
    page = report_html(run)
    assert "<figure" in whole and "<figure" not in page and "nan" not in page.casefold().replace("nanosecond", "")
    # One step without values among others has no points, and the charts are those of the other steps.
    write_rows(path, lines)
    points = {metric["name"]: metric["points"] for metric in metrics_data(run)["metrics"]}
    path.write_text(path.read_text() + json.dumps(spoilt[1] | {"step": 9}).replace('"HERE"', token) + "\n")
    assert {metric["name"]: metric["points"] for metric in metrics_data(run)["metrics"]} == points
    assert report_html(run).count("<figure") == whole.count("<figure")


def test_samples_of_an_older_version_with_nan_are_read(tmp_path: Path) -> None:
    fake_header(tmp_path)
    write_rows(
        tmp_path / "samples.jsonl", [fake_sample(reward=math.nan, advantage=math.inf, reference={"x": math.nan})]
    )
    (row,) = Run.open(tmp_path).samples.rows()
    assert (row["reward"], row["advantage"], row["reference"]) == (None, None, {"x": None})
