"""Files of a run in stages and of a run on verl that were damaged by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonrl.errors import UsageError
from reasonrl.runs.reading import metric_rows
from reasonrl.runs.stages_report import write_stages_report
from reasonrl.verl_backend.exports import evaluations_at
from reasonrl.verl_backend.watch import Watch
from tests.runs.fake_run import fake_header

GAME = {"original": "a", "spoilt": "b", "before": 0.5, "after": 0.25, "validated": True, "detected": None}


def staged(folder: Path, kind: str) -> Path:
    fake_header(folder)
    stage = folder / "stages" / f"01-{kind}"
    fake_header(stage)
    (stage / "recipe.yaml").write_text(f"name: {kind}\nkind: {kind}\n")
    return stage


@pytest.mark.parametrize("name", ["run.json", "stages/01-collect/collect.json", "stages/01-collect/run.json"])
@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "5", "\0\0", "[" * 100_000])
def test_a_damaged_json_file_of_a_run_in_stages_is_named(tmp_path: Path, name: str, text: str) -> None:
    staged(tmp_path, "collect")
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=rf"{name}: (not JSON|expected a JSON object)"):
        write_stages_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"sessions": 5}',
        '{"sessions": ["a"]}',
        '{"sessions": [{"started": 5, "versions": [], "command": {}}]}',
        '{"train": {"rows": "many", "skipped": null}, "share": {"estimate": "high", "n": NaN}, "rows": [1]}',
    ],
)
def test_what_the_page_can_do_without_is_left_out(tmp_path: Path, text: str) -> None:
    stage = staged(tmp_path, "collect")
    for path in (tmp_path / "run.json", stage / "run.json", stage / "collect.json"):
        path.write_text(text)
    assert "<td><b>collect</b><td>collect" in write_stages_report(tmp_path).read_text()


@pytest.mark.parametrize(
    ("file", "kind"), [("games.jsonl", "game"), ("train.jsonl", "collect"), ("metrics.jsonl", "collect")]
)
@pytest.mark.parametrize("line", [b"hello\n", b"[1]\n", b'{"a": "\xff"}\n', b"\0\0\0\0"])
def test_a_damaged_row_of_a_stage_is_named(tmp_path: Path, file: str, kind: str, line: bytes) -> None:
    stage = staged(tmp_path, kind)
    (stage / file).write_bytes(json.dumps(GAME | {"kind": "sft", "step": 1}).encode() + b"\n" + line)
    with pytest.raises(UsageError, match=rf"01-{kind}/{file}, row 2: "):
        write_stages_report(tmp_path)


def test_a_game_without_its_fields_is_named(tmp_path: Path) -> None:
    stage = staged(tmp_path, "game")
    (stage / "games.jsonl").write_text(json.dumps(GAME) + '\n{"original": "a"}\n')
    with pytest.raises(UsageError, match=r"games.jsonl, row 2: expected an object with original, spoilt"):
        write_stages_report(tmp_path)


@pytest.mark.parametrize("row", [{"prompt": [], "reference": 5}, {"prompt": [5]}, {"reference": {"steps": 1}}, {}])
def test_a_row_of_an_unusual_shape_is_shown_as_it_is(tmp_path: Path, row: dict[str, Any]) -> None:
    stage = staged(tmp_path, "collect")
    (stage / "train.jsonl").write_text(json.dumps(row) + "\n")
    assert "the first rows" in write_stages_report(tmp_path).read_text()


def test_a_kind_of_stage_that_does_not_exist_is_named(tmp_path: Path) -> None:
    stage = staged(tmp_path, "collect")
    (stage / "recipe.yaml").write_text("name: x\nkind: [1]\n")
    with pytest.raises(UsageError, match=r"recipe.yaml: kind: there is no kind '\[1\]' of stage"):
        write_stages_report(tmp_path)


class Console:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.steps: list[int] = []

    def warn(self, text: str) -> None:
        self.said.append(text)

    def start(self, seconds_ago: float) -> None:
        assert seconds_ago >= 0

    def step(self, row: dict[str, Any]) -> None:
        self.steps.append(row["step"])

    def evaluation(self, row: dict[str, Any]) -> None:
        self.steps.append(-row["step"])


def test_a_watched_run_continues_over_a_damaged_row(tmp_path: Path) -> None:
    console = Console()
    watch = Watch(tmp_path, tmp_path / "log", console, lambda: False)  # type: ignore[arg-type]
    (tmp_path / "metrics.jsonl").write_bytes(
        b'{"kind": "train", "step": 1, "time/step_s": NaN}\nhello\n[1]\n{"kind": "train"}\n'
        b'{"kind": "eval", "step": 1}\n'
        b'{"kind": "train", "step": 2, "reward/mean": "\xff"}\n{"kind": "train", "step": 3}\n{"kind": "tr'
    )
    watch()
    assert console.steps == [1, -1, 3]
    assert len(console.said) == 4 and all("metrics.jsonl, a new row: " in said for said in console.said)


@pytest.mark.parametrize("line", [b"hello\n", b"[1]\n", b'{"kind": "eval"}\n', b'{"kind": "eval", "step": "6"}\n'])
def test_a_damaged_row_is_named_before_evaluations_are_repeated(tmp_path: Path, line: bytes) -> None:
    whole = b'{"kind": "eval", "step": 6, "eval/sums/greedy": NaN}\n'
    (tmp_path / "metrics.jsonl").write_bytes(whole)
    assert list(evaluations_at(tmp_path, 6)) == ["sums"] and metric_rows(tmp_path / "none.jsonl") == []
    (tmp_path / "metrics.jsonl").write_bytes(whole + line)
    with pytest.raises(UsageError, match=r"metrics.jsonl, row 2: "):
        evaluations_at(tmp_path, 6)
