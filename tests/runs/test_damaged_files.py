"""Files of a run that were damaged by hand: commands that read them name the file and the row, and end with 2."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl.cli import main
from tests.runs.fake_run import fake_header, fake_sample, write_rows
from tests.tiny_runs import tiny

ROW = {"kind": "train", "step": 1, "reward/mean": 0.5}
SAMPLE = fake_sample()

METRICS = {
    "a row of text": b"hello\n",
    "a list": b"[1]\n",
    "not UTF-8": b'{"kind": "\xff", "step": 1}\n',
    "nested too deeply": b"[" * 100_000 + b"\n",
    "without a step": b'{"kind": "train"}\n',
    "without a kind": b'{"step": 1}\n',
    "a step of text": b'{"kind": "train", "step": "one"}\n',
    "a step of null": b'{"kind": "train", "step": null}\n',
    "a step that is NaN": b'{"kind": "train", "step": NaN}\n',
    "a step below 0": b'{"kind": "train", "step": -1}\n',
    "a step that is huge": b'{"kind": "train", "step": 1' + b"0" * 400 + b"}\n",
    "a kind that is a list": b'{"kind": [], "step": 1}\n',
    "a metric of text": b'{"kind": "train", "step": 1, "reward/mean": "high"}\n',
    "a metric that is a list": b'{"kind": "eval", "step": 1, "eval/held_out/greedy": [1]}\n',
    "a torn row that was written over": b'{"kind": "tra' + json.dumps(ROW).encode() + b"\n",
}

SAMPLES = {
    "a row of text": b"hello\n",
    "a list": b"[1]\n",
    "not UTF-8": b'{"kind": "\xff", "step": 1, "problem_id": "a"}\n',
    "without a problem": b'{"kind": "train", "step": 1}\n',
    **{
        f"{name} is {shown}": json.dumps({**SAMPLE, name: value}).encode() + b"\n"
        for name, value, shown in [
            ("step", "one", "text"),
            ("step", 10**400, "huge"),
            ("set", ["a"], "a list"),
            ("mode", {}, "an object"),
            ("problem_id", 5, "a number"),
            ("response", None, "null"),
            ("verdicts", [1], "a list"),
            ("verdicts", {"correctness": 1}, "a number"),
            ("verdicts", {"correctness": {"correct": "yes"}}, "a text for correct"),
            ("reward", "high", "text"),
            ("advantage", [1], "a list"),
            ("reward_parts", {"correctness": "1"}, "text"),
            ("turns", [{"text": 1}], "a turn without a role"),
            ("turns", 3, "a number"),
            ("response_ids", ["a"], "a list of text"),
            ("response_ids", [2**70], "huge"),
            ("logprobs", {}, "an object"),
        ]
    },
    "lists that differ in length": json.dumps({**SAMPLE, "response_ids": [1, 2], "logprobs": [-1.0]}).encode() + b"\n",
}


def ended(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str]:
    """Exit code and standard error of a command."""
    monkeypatch.setattr(sys, "argv", ["reasonrl", *map(str, arguments)])
    with pytest.raises(SystemExit) as ending:
        main()
    return int(ending.value.code or 0), capsys.readouterr().err


def damaged(folder: Path, name: str, line: bytes, in_row: int = 2) -> Path:
    """A run whose file `name` has the damaged line as its second row."""
    fake_header(folder)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(tiny()))
    write_rows(folder / "metrics.jsonl", [ROW, {**ROW, "step": 2}])
    write_rows(folder / "samples.jsonl", [SAMPLE, fake_sample(rollout=1)])
    path = folder / name
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[: in_row - 1], line, *lines[in_row - 1 :]]))
    return folder


@pytest.mark.parametrize("what", METRICS)
@pytest.mark.parametrize("command", ["report", "view"])
def test_a_damaged_row_of_metrics_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, what: str
) -> None:
    run = damaged(tmp_path / "run", "metrics.jsonl", METRICS[what])
    code, said = ended(monkeypatch, capsys, command, run, *(["--port", "0"] if command == "view" else []))
    assert code == 2 and "Traceback" not in said
    assert "metrics.jsonl, row 2: " in " ".join(said.split())
    assert not (run / "report.html").exists()


@pytest.mark.parametrize("what", SAMPLES)
@pytest.mark.parametrize("command", ["report", "view", "replay", "compare"])
def test_a_damaged_row_of_samples_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, what: str
) -> None:
    run = damaged(tmp_path / "run", "samples.jsonl", SAMPLES[what])
    others: list[Any] = ["--port", "0"] if command == "view" else []
    if command == "compare":
        others = [run]
    code, said = ended(monkeypatch, capsys, command, run, *others)
    assert code == 2 and "Traceback" not in said
    assert "samples.jsonl, row 2: " in " ".join(said.split())
    assert not (run / "report.html").exists()


@pytest.mark.parametrize("what", ["text", "zeros", "a list", "not UTF-8"])
@pytest.mark.parametrize("name", ["metrics.jsonl", "samples.jsonl"])
def test_a_last_line_that_no_kill_leaves_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, what: str
) -> None:
    """A true beginning of a row starts with a brace."""
    line = {"text": b"hello", "zeros": bytes(64), "a list": b"[1", "not UTF-8": b'{"kind": "\xff", "step": 1}'}[what]
    run = damaged(tmp_path / "run", name, line, in_row=3)
    code, said = ended(monkeypatch, capsys, "report", run)
    assert code == 2 and f"{name}, row 3: " in " ".join(said.split())


def test_a_last_row_that_is_cut_off_is_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = damaged(tmp_path / "run", "samples.jsonl", json.dumps(SAMPLE).encode()[:60], in_row=3)
    for command, others, expected in (("report", [], 0), ("replay", [], 2), ("compare", [run], 2)):
        code, said = ended(monkeypatch, capsys, command, run, *others)
        assert code == expected and "samples.jsonl, row 3: it is cut off" in " ".join(said.split())
