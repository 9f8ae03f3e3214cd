"""Standard streams that end, lack, or cannot hold what is printed; and JSON that every program reads."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.host.terminal import LastingOutput, json_text, lasting_streams, reader_is_gone, results
from reasonrl.runs.console import TrainConsole
from tests.tiny_runs import environment, rows, tiny, write_recipe

ROW = '{"id": "é", "prompt": "日本 1 + 1 =", "answer": "2"}\n'


def stream_without_reader() -> io.TextIOWrapper:
    reader, writer = os.pipe()
    os.close(reader)
    return io.TextIOWrapper(io.BufferedWriter(LastingOutput(writer)), encoding="utf-8", write_through=True)


def test_output_without_a_reader_is_dropped_and_known() -> None:
    stream = stream_without_reader()
    assert not reader_is_gone(stream)
    for _ in range(3):
        print("word", file=stream, flush=True)
    assert reader_is_gone(stream)
    os.close(stream.fileno())


def test_a_console_without_a_reader_says_so_once_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    stream = stream_without_reader()
    console = TrainConsole(3, stream=stream)
    for _ in range(3):
        console.note("loading")
    assert capsys.readouterr().err.count("nobody reads the output any more") == 1
    os.close(stream.fileno())


def test_a_pipe_that_is_full_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    text = "x" * 200_000
    process = subprocess.Popen([sys.executable, "-c", "import sys; print(len(sys.stdin.read()))"], stdin=reader,
                               stdout=subprocess.PIPE, text=True)  # fmt: skip
    os.close(reader)
    stream = io.TextIOWrapper(io.BufferedWriter(LastingOutput(writer)), encoding="utf-8")
    stream.write(text)
    stream.flush()
    os.close(writer)
    assert process.communicate(timeout=60)[0].strip() == str(len(text))


def test_a_console_escapes_what_its_stream_cannot_hold() -> None:
    bytes_written = io.BytesIO()
    stream = io.TextIOWrapper(bytes_written, encoding="latin-1", write_through=True)
    TrainConsole(3, stream=stream).note("é 日")
    assert bytes_written.getvalue() == b"\xe9 \\u65e5\n"


def test_with_json_only_results_are_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with lasting_streams(results_only=True):
        print("a library prints")
        print("{}", file=results())
    assert capsys.readouterr() == ("{}\n", "a library prints\n")
    assert results() is sys.stdout


def test_what_is_printed_late_and_around_python_does_not_follow_the_results() -> None:
    code = """
import atexit, ctypes, os, subprocess, sys
from reasonrl.host.terminal import lasting_streams, print_json
with lasting_streams(results_only=True):
    ctypes.CDLL(None).puts(b"from C, in its buffer")
    sys.__stdout__.write("in the buffer of Python")
    os.write(1, b"past both")
    subprocess.run(["echo", "from a child"])
    atexit.register(lambda: os.write(1, b"at exit"))
    print_json({"result": 1})
print("after the block")
"""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=buffered, check=True)
    assert done.stdout == '{"result": 1}\nafter the block\n'
    for words in ("from C", "buffer of Python", "past both", "from a child", "at exit"):
        assert words in done.stderr


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=8,
)


def without_special(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: without_special(inner) for key, inner in value.items()}
    return [without_special(inner) for inner in value] if isinstance(value, list) else value


@given(VALUES, st.sampled_from([None, 1]))
def test_any_value_is_valid_json_and_comes_back(value: Any, indent: int | None) -> None:
    text = json_text(value, indent=indent)
    text.encode()

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    assert json.loads(text, parse_constant=refuse) == without_special(value)


def test_json_keeps_letters_and_escapes_half_surrogate_pairs() -> None:
    assert json_text({"é": "日"}) == '{"é": "日"}'
    assert json_text(["\ud835", math.inf]) == '["\\ud835", null]'


@pytest.mark.parametrize("streams", ["2>&1", ">&-", ">&- 2>&- <&-"])
def test_problems_are_shown_on_a_terminal_that_is_ascii_or_missing(tmp_path: Path, streams: str) -> None:
    (tmp_path / "d.jsonl").write_text(ROW, encoding="utf-8")
    script = f"{sys.executable} -m reasonrl data show d.jsonl --json {streams}; echo $? >&3"
    with (tmp_path / "code").open("w") as code:
        done = subprocess.run(
            ["bash", "-c", script.replace(">&3", f">&{code.fileno()}")],
            cwd=tmp_path,
            env={**environment(), "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            text=True,
            pass_fds=[code.fileno()],
        )
    assert (tmp_path / "code").read_text().strip() == "0", done.stderr
    if streams == "2>&1":
        assert json.loads(done.stdout)["problems"][0]["prompt"] == "日本 1 + 1 ="


def test_a_full_disk_under_standard_output_is_an_error(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        process = subprocess.run(
            [sys.executable, "-m", "reasonrl", "recipes", "ls"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert process.returncode == 1
    assert process.stderr == "error: the result could not be printed: No space left on device\n"


@pytest.mark.slow
def test_a_run_whose_reader_leaves_ends_as_any_other(tmp_path: Path) -> None:
    """`reasonrl train ... | head -1`, and without any standard stream."""
    recipe = tiny(train={"steps": 3}, evaluation={"samples_per_problem": 0})
    path = write_recipe(tmp_path, recipe)
    command = f"{sys.executable} -m reasonrl train {path}"
    script = f"set -o pipefail; {command} run_dir=piped | head -1; echo $?; {command} run_dir=closed >&- 2>&- <&-"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.splitlines()[1:] == ["0"]
    assert done.stderr.count("nobody reads the output any more; the run continues") == 1
    weights = [tmp_path / name / "checkpoints" / "step-000003" / "model.safetensors" for name in ("closed", "piped")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    for name in ("piped", "closed"):
        assert [row["step"] for row in rows(tmp_path / name / "metrics.jsonl") if row["kind"] == "train"] == [1, 2, 3]
