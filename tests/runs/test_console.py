"""What is printed while a run trains."""

from __future__ import annotations

import io
import os
import pty
import threading

import pytest

from reasonrl.runs.accuracy import accuracy_of
from reasonrl.runs.console import TrainConsole
from reasonrl.runs.reading import Run
from tests.runs.fake_run import fake_run, fake_sft_run


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fake")
    return (
        Run.open(fake_run(folder / "run", steps=6, problems=20)).metrics()
        + Run.open(fake_sft_run(folder / "sft", steps=2)).metrics()
    )


def play(console: TrainConsole, rows) -> None:
    with console:
        console.start()
        for row in rows:
            (console.evaluation if row["kind"] == "eval" else console.step)(row)
        console.note("a note\nof two lines")
        console.warn("too many answers were cut off; " * 8 + "/a/very/long/path" * 12)
        console.finish("done")


def test_plain_lines(rows):
    stream = io.StringIO()
    play(TrainConsole(6, stream=stream), rows)
    text = stream.getvalue()
    assert "\x1b" not in text and "\r" not in text
    assert max(map(len, text.splitlines())) <= 110
    lines = text.splitlines()
    assert (
        lines[0].startswith("  eval at step 0 on held_out: greedy ")
        and "n = 20 x 4" in lines[0]
        and "95% CI" in lines[0]
    )
    assert lines[1].split()[:3] == ["step", "reward", "right"] and lines[1].split()[-1] == "left"
    first = rows[1]
    assert lines[2].split()[:3] == ["1/6", f"{first['reward/mean']:.3f}", f"{100 * first['accuracy/train']:.1f}%"]
    assert lines[2].split()[3:6] == [str(first[f"groups/{name}"]) for name in ("mixed", "all_correct", "all_wrong")]
    assert len(lines[2]) == len(lines[1])
    assert any(line.split()[:2] == ["step", "loss"] for line in lines)
    assert lines[-1] == "done"


def test_quiet_prints_warnings_only(rows):
    stream = io.StringIO()
    console = TrainConsole(6, quiet=True, stream=stream)
    with console:
        for row in rows:
            (console.evaluation if row["kind"] == "eval" else console.step)(row)
        console.note("a note")
        console.finish("done")
    assert stream.getvalue() == ""
    console.warn("look")
    assert stream.getvalue() == "warning: look\n"


def test_rows_that_lack_metrics_show_a_dash():
    stream = io.StringIO()
    console = TrainConsole(10, stream=stream)
    console.step({"kind": "train", "step": 3})
    console.evaluation({"kind": "eval", "step": 3})
    assert stream.getvalue().splitlines()[1].split()[:3] == ["3/10", "-", "-"]


def test_answers_that_could_not_be_judged_stand_beside_the_accuracy():
    stream = io.StringIO()
    metrics = accuracy_of([[True], [False], [None]]).metrics("eval/s/greedy")
    metrics |= accuracy_of([[None, None]] * 3).metrics("eval/s/sampled")
    row = {"kind": "eval", "step": 3, "eval/s/problems": 3, "eval/s/samples_per_problem": 2, **metrics}
    TrainConsole(10, stream=stream).evaluation(row)
    text = " ".join(stream.getvalue().split())
    assert "greedy 50.0% (95% CI 9.5 to 90.5) (1 of 3 answers not judged, 33.3% if all of these were wrong)" in text
    assert "sampled: none of 6 answers could be judged" in text


def test_time_left_uses_recent_steps(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    stream = io.StringIO()
    console = TrainConsole(100, stream=stream)
    with console:
        now[0] += 500.0  # loading, and the evaluation before training
        console.start()
    for step in range(41, 46):  # resumed at step 40
        now[0] += 12.0
        console.step({"kind": "train", "step": step})
    assert stream.getvalue().splitlines()[-1].split()[-1] == "11m00s"  # 55 steps of 12 s
    now[0] += 12.0
    console.step({"kind": "train", "step": 100})
    assert stream.getvalue().splitlines()[-1].split()[-1] == "0s"


def test_control_characters_are_not_printed():
    stream = io.StringIO()
    TrainConsole(1, stream=stream).note("a\x1b[2Jb\x07 [bold]c[/bold] :smile:")
    assert stream.getvalue() == "a?[2Jb? [bold]c[/bold] :smile:\n"


def test_forced_colours_do_not_reach_a_file(monkeypatch, rows):
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    play(TrainConsole(6, stream=stream), rows)
    assert "\x1b" not in stream.getvalue()


def on_a_terminal(rows, monkeypatch, columns: int) -> str:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "40")
    parent, child = pty.openpty()
    pieces: list[bytes] = []

    def drain() -> None:
        while True:
            try:
                piece = os.read(parent, 65536)
            except OSError:
                return
            if not piece:
                return
            pieces.append(piece)

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    with os.fdopen(child, "w", encoding="utf-8") as stream:
        play(TrainConsole(6, stream=stream), rows)
    reader.join(5)
    os.close(parent)
    return b"".join(pieces).decode()


def test_on_a_terminal_there_is_a_bar(rows, monkeypatch):
    text = on_a_terminal(rows, monkeypatch, 200)
    assert "training" in text and "left" in text and "\x1b[" in text
    assert "\x1b[?25h" in text  # the cursor is shown again
    table = [line for line in text.splitlines() if "reward" in line and "entropy" in line]
    assert table and "cut off" in table[0]


def test_a_narrow_terminal_drops_columns(rows, monkeypatch):
    text = on_a_terminal(rows, monkeypatch, 60)
    [table] = {line.split("m", 1)[-1] for line in text.splitlines() if "reward" in line and "left" in line}
    assert "entropy" not in table and "cut off" not in table and "right" in table


def test_the_bar_goes_away_on_an_error():
    console = TrainConsole(3, stream=io.StringIO())
    with pytest.raises(RuntimeError, match="boom"), console:
        raise RuntimeError("boom")
    assert console._progress is None
