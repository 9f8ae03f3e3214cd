"""Two processes in one folder: one writes, the other is refused and told by whom."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.commands.export import export_command
from reasonrl.commands.inspect import report_command
from reasonrl.commands.results import refuse_old_results, write_results
from reasonrl.errors import UsageError
from reasonrl.models.tiny import build_model
from reasonrl.runs.lock import LOCK_FILE, locked, refuse_locked, run_of

HOLDER = r"""
import os, sys, time
from pathlib import Path
from reasonrl.runs.lock import locked
with locked(Path(sys.argv[1]), "", shared="shared" in sys.argv):
    if "fork" in sys.argv and os.fork() == 0:
        os.write(1, b"forked\n")
        time.sleep(60)
    os.write(1, b"locked\n")
    time.sleep(60)
"""


@contextmanager
def holder(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), *words], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in range(2 if "fork" in words else 1)]
        assert "locked\n" in lines
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def test_the_second_process_is_told_by_whom_since_when_and_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "first"
    with holder(folder, "run_dir=my run") as process:
        with pytest.raises(UsageError) as refused, locked(folder, "Wait for it, or write run_dir=ANOTHER_FOLDER"):
            pass
        pattern = (
            rf"{re.escape(str(folder))} is being written by process {process.pid} \(-c .*'run_dir=my run'\) of \S+"
            rf" on \S+ since \d\d:\d\d:\d\d\. Wait for it, or write run_dir=ANOTHER_FOLDER"
        )
        assert re.fullmatch(pattern, str(refused.value)), refused.value
        assert os.listdir(folder) == [LOCK_FILE]


def test_a_lock_of_a_killed_process_does_not_block_even_while_its_forked_child_lives(tmp_path: Path) -> None:
    with holder(tmp_path, "fork") as process:
        process.kill()
        process.wait()
        assert (tmp_path / LOCK_FILE).exists()
        with locked(tmp_path, ""):
            assert json.loads((tmp_path / LOCK_FILE).read_text())["pid"] == os.getpid()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": 1}', b"\xff", b'{"since": "yesterday"}'])
def test_a_damaged_lock_file_neither_blocks_nor_breaks_the_message(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    (tmp_path / LOCK_FILE).write_bytes(content)
    with locked(tmp_path, ""):
        pass
    with (tmp_path / LOCK_FILE).open("wb") as file:
        file.write(content)
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match=r"is being written by another process\. Wait"), locked(tmp_path, "Wait"):
            pass


def test_the_folder_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("x")
    for name in ("full", "new/inner"):
        with pytest.raises(KeyError), locked(tmp_path / name, ""):
            raise KeyError
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full"]


def test_one_thread_may_lock_a_folder_again_and_other_folders_but_another_thread_may_not(tmp_path: Path) -> None:
    messages: list[str] = []

    def second() -> None:
        try:
            with locked(tmp_path / "a", "Wait"):
                messages.append("locked")
        except UsageError as error:
            messages.append(str(error))

    with locked(tmp_path / "a", ""):
        with locked(tmp_path / "b" / ".." / "a", ""), locked(tmp_path / "b", ""):
            refuse_locked(tmp_path / "a", "")
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(messages) == 1 and f"written by process {os.getpid()} " in messages[0]
    second()
    assert messages[1] == "locked"


def test_of_many_that_lock_and_leave_at_once_never_two_are_inside(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    inside: list[int] = []
    crowds: list[list[int]] = []
    visits = [0] * 6

    def visitor(number: int) -> None:
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            try:
                with locked(folder, ""):
                    inside.append(number)
                    visits[number] += 1
                    if len(inside) > 1:
                        crowds.append(list(inside))
                    inside.remove(number)
            except UsageError:
                pass

    threads = [threading.Thread(target=visitor, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not crowds and sum(visits) > 100, visits
    assert not (folder / LOCK_FILE).exists()


def test_a_process_that_only_looks_refuses_nobody(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).touch()
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            refuse_locked(tmp_path, "")

    thread = threading.Thread(target=look)
    with (tmp_path / LOCK_FILE).open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        thread.start()
        timer = threading.Timer(0.03, lambda: fcntl.flock(held, fcntl.LOCK_UN))
        timer.start()
        try:
            with locked(tmp_path, ""):
                pass
        finally:
            ended.set()
            timer.join()
            thread.join()


def test_readers_share_a_folder_and_keep_a_writer_out_until_the_last_has_left(tmp_path: Path) -> None:
    with holder(tmp_path, "shared"):
        with locked(tmp_path, "", shared=True):
            pass
        with pytest.raises(UsageError, match="is being read by process"), locked(tmp_path, ""):
            pass
    with locked(tmp_path, ""):
        pass


def test_the_lock_of_a_stage_is_that_of_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = tmp_path / "run/stages/01-sft"
    stage.mkdir(parents=True)
    assert run_of(stage) == stage, "a folder that is called stages is not yet a run"
    (tmp_path / "run/recipe.yaml").write_text("name: x\n")
    monkeypatch.chdir(stage)
    assert run_of(stage) == run_of(Path(".")) == tmp_path / "run"
    with holder(tmp_path / "run"), pytest.raises(UsageError, match=r"run is being written"), locked(stage, ""):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_flock_has_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fails)
    with locked(tmp_path / "x", ""):
        (tmp_path / "x/file").write_text("written")
    assert (tmp_path / "x/file").exists()


def test_a_folder_that_cannot_be_written_is_read_without_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(os, "open", fails)
    refused = pytest.raises(UsageError, match=r"permission is denied\. Check the owner")
    with locked(tmp_path, "", shared=True), refused, locked(tmp_path, ""):
        pass


@given(st.lists(st.sampled_from(["lock", "leave", "fail"]), max_size=12))
def test_locks_that_are_nested_in_any_way_leave_nothing(
    tmp_path_factory: pytest.TempPathFactory, moves: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("nested")

    def walk(left: list[str]) -> None:
        if left and left[0] != "leave":
            with locked(folder / "x", ""):
                walk(left[1:])
                if left[0] == "fail":
                    raise KeyError

    try:
        walk(moves)
    except KeyError:
        assert "fail" in moves
    assert os.listdir(folder) == []


def test_results_that_another_process_wrote_first_are_kept_and_the_second_are_in_a_folder_beside(
    tmp_path: Path,
) -> None:
    output = tmp_path / "scores"
    write_results(output, {"model": "first"}, [{"id": 1}])
    with pytest.raises(UsageError, match=r"results that another process wrote .* are in .*scores-2"):
        write_results(output, {"model": "second"}, [{"id": 2}])
    with pytest.raises(UsageError, match="already holds results"):
        refuse_old_results(output)
    (tmp_path / "busy").mkdir()
    with holder(tmp_path / "busy"):
        with pytest.raises(UsageError, match=r"is being written by process .*Wait for it, or .* --output"):
            refuse_old_results(tmp_path / "busy")
        with pytest.raises(UsageError, match=r"is being written by process .* since \S+\. The results .*busy-2"):
            write_results(tmp_path / "busy", {"model": "third"}, [])
    models = [json.loads((tmp_path / name / "results.json").read_text())["model"] for name in RESULTS]
    assert models == ["first", "second", "third"]
    assert json.loads((output / "samples.jsonl").read_text()) == {"id": 1}


RESULTS = ("scores", "scores-2", "busy-2")


def test_an_evaluation_does_not_write_into_a_run(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: x\n")
    with pytest.raises(UsageError, match="already holds a run; name another folder with --output"):
        refuse_old_results(tmp_path)


def weights(folder: Path) -> Path:
    """What export takes for a checkpoint."""
    build_model(0, torch.float32).save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    return folder


def test_an_export_is_refused_where_another_process_writes_and_goes_on_after_a_killed_one(tmp_path: Path) -> None:
    source, target = weights(tmp_path / "model"), tmp_path / "out"
    with holder(target) as process:
        with pytest.raises(UsageError, match=rf"out is being written by process {process.pid} .*name another folder"):
            export_command(source, target, dtype=None, as_json=True)
        assert os.listdir(target) == [LOCK_FILE]
    (tmp_path / ".out.export").mkdir()
    (tmp_path / ".out.export/model.safetensors").write_bytes(b"half")
    assert (target / LOCK_FILE).exists()
    export_command(source, target, dtype=None, as_json=True)
    assert sorted(os.listdir(target)) == ["config.json", "model.safetensors"]
    assert (target / "model.safetensors").read_bytes() == (source / "model.safetensors").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["model", "out"]
    with pytest.raises(UsageError, match="out is there already"):
        export_command(source, target, dtype=None, as_json=True)


def test_an_export_that_fails_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = weights(tmp_path / "model")

    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("shutil.copy2", fails)
    with pytest.raises(OSError, match="full"):
        export_command(source, tmp_path / "deep/out", dtype=None, as_json=True)
    assert os.listdir(tmp_path) == ["model"]


def test_a_training_cannot_take_the_target_of_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finished export would replace the folder of the run."""
    source, target = weights(tmp_path / "model"), tmp_path / "out"
    seen: list[Any] = []

    def copy(model: Path, folder: Path) -> None:
        thread = threading.Thread(target=lambda: seen.append(_refusal(target)))
        thread.start()
        thread.join()
        shutil.copy2(model / "config.json", folder)

    monkeypatch.setattr("reasonrl.models.saving.copy_plain_files", copy)
    export_command(source, target, dtype=None, as_json=True)
    assert len(seen) == 1 and "out is being written by process" in str(seen[0])


def _refusal(folder: Path) -> UsageError | None:
    try:
        with locked(folder, ""):
            return None
    except UsageError as error:
        return error


def test_a_report_of_a_run_that_is_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: x\n")
    with holder(tmp_path), pytest.raises(UsageError, match="or watch it with: reasonrl view"):
        report_command(tmp_path, as_json=True)
    with pytest.raises(UsageError, match="no such folder"):
        report_command(tmp_path / "nothing", as_json=True)
    assert not (tmp_path / "nothing").exists() and not (tmp_path / "report.html").exists()
