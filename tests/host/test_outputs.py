"""Paths that cannot be written or read: one message that names the path, before any work, and nothing left behind."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from reasonrl import cli
from reasonrl.commands.results import results_folder, write_and_emit
from reasonrl.errors import ReasonRLError, UsageError
from reasonrl.host.outputs import check_file, check_folder, os_error_text, user_path, user_text
from tests.test_cli import in_process
from tests.tiny_runs import tiny, write_recipe

BAD = ["afile", "afile/x", "a" * 300, "/proc/x", "/dev/null/x"]
COMMANDS = {
    "eval": ["eval", "tiny-arithmetic", "--data", "d.jsonl", "--set", "rollout.max_new_tokens=2", "--output"],
    "critic eval": ["critic", "eval", "tiny-arithmetic", "--data", "critiques.jsonl", "--output"],
    "train": ["train", "tiny.yaml", "run_dir="],
    "dry run": ["train", "tiny.yaml", "--dry-run", "run_dir="],
    "recipes cp": ["recipes", "cp", "smoke"],
    "data convert": ["data", "convert", "d.jsonl"],
    "verify": ["verify", "math", "--input", "d.jsonl", "--output"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_recipe(tmp_path, tiny(train={"steps": 1}, evaluation={"samples_per_problem": 0}))
    (tmp_path / "afile").write_text("content")
    (tmp_path / "d.jsonl").write_text('{"prompt": "1 + 1 =", "answer": "2"}\n')
    (tmp_path / "critiques.jsonl").write_text('{"id": "p", "problem": "1 + 1", "steps": ["it is 2"], "label": -1}\n')
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("bad", BAD, ids=["file", "under-a-file", "long", "proc", "under-a-device"])
@pytest.mark.parametrize("name", COMMANDS)
def test_an_output_that_cannot_be_written_is_refused_before_any_work(
    name: str, bad: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(*_: Any, **__: Any) -> Any:
        raise AssertionError("a model is loaded")

    for module in ("reasonrl.setup.standalone", "reasonrl.stages.run_stage", "reasonrl.setup.roles"):
        monkeypatch.setattr(f"{module}.load_language_model", load)
    monkeypatch.setattr("reasonrl.plan.preflight.preflight", load)
    *words, last = COMMANDS[name]
    path = f"{bad}.jsonl" if name in ("data convert", "verify") and bad != "afile" else bad
    arguments = [*words, last + path] if last.endswith("=") else [*words, last, path]
    if name in ("data convert", "verify") and bad == "afile":
        arguments[-1] = "."
    before = names(folder)
    code, out, err = in_process(arguments, monkeypatch, capsys)
    assert (code, out) == (2, ""), err
    assert err.startswith("error: ") and err.count("\n") == 1, err
    assert path[:100] in err or arguments[-1] in err
    assert names(folder) == before
    assert (folder / "afile").read_text() == "content"


def test_a_path_begins_with_the_home_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = folder / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (home / "d.jsonl").write_bytes((folder / "d.jsonl").read_bytes())
    evaluation = [*COMMANDS["eval"], "~/scores", "--n", "0"]
    evaluation[3] = "~/d.jsonl"
    for arguments in (["recipes", "cp", "smoke", "~/mine"], ["data", "convert", "~/d.jsonl", "~/e.jsonl"], evaluation):
        code, _, err = in_process(arguments, monkeypatch, capsys)
        assert code == 0, err
    code, _, err = in_process(["train", "~/mine", "--dry-run", "run_dir=~/run"], monkeypatch, capsys)
    assert code == 0, err
    # What the engine compiles is cached in the home folder, unless this process has compiled it before.
    assert {path.name for path in home.iterdir()} - {".cache"} == {"d.jsonl", "mine", "e.jsonl", "scores"}
    assert not (folder / "~").exists()


def test_what_looks_like_a_home_is_expanded_in_paths_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/h")
    assert user_text("run_dir=~/x") == "run_dir=/h/x"
    for text in ("rollout.stop=~/x", "x~", "./~/x", "train.kl=~"):
        assert user_text(text) == text
    for text in ("~nobody-has-this-name/x", "run_dir=~nobody-has-this-name/x"):
        with pytest.raises(UsageError, match=r"the home folder is not known\. Write the whole path"):
            user_text(text)
    with pytest.raises(UsageError, match=r"'--output a.*' is not valid UTF-8"):
        user_path("a\udcff", "--output")
    with pytest.raises(UsageError, match="NUL"):
        user_path("a\0b")


PARTS = st.sampled_from(["afile", "there", "new", "..", ".", "é日本", "a b", "x" * 255, "x" * 256, "-", "'\"", "\n"])


@given(st.lists(PARTS, min_size=1, max_size=4))
def test_any_path_can_be_written_or_is_one_message(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("paths")
    (folder / "there").mkdir()
    (folder / "afile").write_text("content")
    path = folder.joinpath("deep", *parts) if parts.count("..") > 1 else folder.joinpath(*parts)
    before = names(folder)
    for check, make in ((check_folder, lambda: path.mkdir(parents=True, exist_ok=True)), (check_file, None)):
        try:
            check(path, "--output")
        except UsageError as error:
            assert str(error).startswith("--output ") and "Errno" not in str(error)
            continue
        finally:
            assert names(folder) == before
        if make is not None:
            make()
            before = names(folder)


def test_results_are_printed_and_saved_elsewhere_when_their_folder_fails_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, rows: Any) -> None:
        if path.is_relative_to(tmp_path / "scores"):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    monkeypatch.setattr("reasonrl.commands.results.append_rows", full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ReasonRLError, match=r"scores could not be written: .*read-only.* are in .*reasonrl-results-"):
        write_and_emit(tmp_path / "scores", {"accuracy": 0.5}, [{"id": "a"}], "accuracy 50%", as_json=False)
    assert "accuracy 50%" in capsys.readouterr().out
    (saved,) = tmp_path.glob("reasonrl-results-*")
    assert json.loads((saved / "results.json").read_text()) == {"accuracy": 0.5}
    assert json.loads((saved / "samples.jsonl").read_text()) == {"id": "a"}


def test_results_that_nothing_can_hold_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, rows: Any) -> None:
        path.touch()
        raise OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr("reasonrl.commands.results.append_rows", full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    failure = pytest.raises(typer.Exit)
    with failure as stopped, results_folder(tmp_path / "scores"):
        write_and_emit(tmp_path / "scores", {"accuracy": 0.5}, [{"id": "a"}], "accuracy 50%", as_json=True)
    assert stopped.value.exit_code == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["accuracy"] == 0.5 and "scores could not be written: file too large" in printed["error"]
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_claims_its_folder_before_it_loads_a_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []

    def second() -> None:
        with pytest.raises(UsageError) as refused, results_folder(folder / "scores"):
            pass
        seen.append(str(refused.value))

    def load(*_: Any, **__: Any) -> Any:
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
        raise UsageError("stop here")

    monkeypatch.setattr("reasonrl.commands.evaluate.prepare_evaluation", load)
    code, _, err = in_process([*COMMANDS["eval"], "scores"], monkeypatch, capsys)
    assert (code, err) == (2, "error: stop here\n")
    assert len(seen) == 1 and "is being written by process" in seen[0] and "name another folder" in seen[0]
    assert not (folder / "scores").exists()


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "here/x"), 2, "here/x: permission is denied"),
        (OSError(errno.EROFS, "Read-only file system", "x"), 2, "x: the file system is read-only"),
        (OSError(errno.ENOSPC, "No space left", "x"), 1, "the disk is full at x. Complete files are intact"),
        (OSError(errno.EFBIG, "File too large", "x"), 1, "x: the file would be larger than the limit"),
        (OSError(errno.EMFILE, "Too many open files", "x"), 1, "ulimit -n"),
        (OSError(errno.EIO, "Input/output error", "x"), 1, "x: the device reports an error"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a", None, "b"), 2, "a -> b: there is no such file"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), 1, "connection refused: "),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, "broken pipe: the connection was closed"),
        (OSError("x does not have a file named config.json"), 1, "x does not have a file named config.json"),
        (RuntimeError("I/O error: File too large (os error 27)"), 1, "file too large: the file would be larger"),
        (MemoryError(), 1, "the memory is full. Use fewer rollouts"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), 1, "can't allocate memory: 9 bytes)"),
        (KeyError("oops"), 1, "KeyError: 'oops'. reasonrl did not expect this, which is a fault of reasonrl."),
    ],
)
def test_errors_of_the_machine_are_one_message_and_faults_of_ours_say_how_to_report_them(
    error: Exception, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(**_: Any) -> None:
        raise error

    monkeypatch.setattr("reasonrl.commands.doctor.doctor_command", fails)
    got, out, err = in_process(["doctor"], monkeypatch, capsys)
    assert (got, out) == (code, "")
    last = err.splitlines()[-1]
    assert last.startswith("error: ") and words in last
    assert ("Traceback" in err) == ("fault of reasonrl" in words)
    if "fault of reasonrl" in words:
        assert "reasonrl 0." in last and "torch" in last and last.endswith("command: reasonrl doctor")
    got, out, _ = in_process(["doctor", "--json"], monkeypatch, capsys)
    assert (got, list(json.loads(out))) == (code, ["error"])


def test_a_current_folder_that_was_removed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    text = os_error_text(FileNotFoundError(errno.ENOENT, "No such file or directory"))
    assert text == "the current folder does not exist any more. Change to another one (cd)"
    code, out, _ = in_process(["doctor", "--json"], monkeypatch, capsys)
    assert code == 1
    assert any("current folder does not exist" in finding["what"] for finding in json.loads(out)["findings"])
    os.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eval", "m", "--data", "d.jsonl", "--n", "0", "--set", "evaluation.greedy=false"], "nothing to evaluate"),
        (["eval", "m", "--data", "d.jsonl", "--limit", "0"], "--limit"),
        (["eval", "m", "--data", "d.jsonl", "--n", "9" * 30], "--n"),
        (["view", "run", "--port", "70000"], "--port"),
        (["view", "run", "--port", "-1"], "--port"),
        (["critic", "eval", "m", "--data", "critiques.jsonl", "--temperature", "inf"], "--temperature"),
        (["critic", "eval", "m", "--data", "critiques.jsonl", "--temperature", "nan"], "--temperature"),
        (["verify", "math", "--gold", "1", "--answer", "1", "--workers", "0"], "--workers"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    arguments: list[str],
    words: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = ["tiny-arithmetic" if word == "m" else word for word in arguments]
    code, _, err = in_process(chosen, monkeypatch, capsys)
    assert code == 2 and words in err


def test_the_dry_run_knows_that_a_folder_holds_a_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "run" / "checkpoints").mkdir(parents=True)
    arguments = ["train", "tiny.yaml", "run_dir=run", "--dry-run"]
    code, _, err = in_process(arguments, monkeypatch, capsys)
    assert (code, "run already holds a run. Continue it with --resume" in err) == (2, True)


def test_the_dry_run_refuses_a_folder_that_holds_anything_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = in_process(["train", "tiny.yaml", "run_dir=.", "--dry-run"], monkeypatch, capsys)
    assert (code, ". exists, is not empty and is not a run. Write run_dir=ANOTHER_FOLDER" in err) == (2, True)


def saved_run(folder: Path) -> Path:
    """The files of a run, as far as their names matter."""
    (folder / "checkpoints" / "step-000001").mkdir(parents=True)
    (folder / "checkpoints" / "step-000001" / "manifest.json").write_text("{}")
    for name in ("recipe.yaml", "run.json", "samples.jsonl"):
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data", "convert", "d.jsonl", "d.jsonl"], "TARGET d.jsonl: it is the file that is read"),
        (["data", "convert", "d.jsonl", "link.jsonl"], "TARGET link.jsonl: it is the file that is read"),
        (["data", "convert", "d.jsonl", "hard.jsonl"], "TARGET hard.jsonl: it is the file that is read"),
        (["data", "convert", "d.jsonl", "run/samples.jsonl"], "run/samples.jsonl: it belongs to the run in run"),
        (["data", "convert", "d.jsonl", "run/metrics.jsonl"], "run/metrics.jsonl: it belongs to the run in run"),
        (["replay", "run", "--output", "run/samples.jsonl"], "run/samples.jsonl: it belongs to the run in run"),
        (["replay", "run", "--output", "to-samples.jsonl"], "to-samples.jsonl: it belongs to the run in"),
        (["verify", "math", "--input", "d.jsonl", "--output", "d.jsonl"], "d.jsonl is also the input"),
        ([*COMMANDS["eval"], "run/checkpoints/step-000001/scores"], "is in the checkpoints of a run"),
        (["export", "run", "run/checkpoints/exported"], "is in the checkpoints of a run"),
        (["recipes", "cp", "smoke", "run/checkpoints/smoke"], "is in the checkpoints of a run"),
    ],
)
def test_no_command_writes_over_its_input_or_into_what_a_run_has_saved(
    arguments: list[str],
    words: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    saved_run(folder / "run")
    (folder / "link.jsonl").symlink_to("d.jsonl")
    (folder / "hard.jsonl").hardlink_to(folder / "d.jsonl")
    (folder / "to-samples.jsonl").symlink_to("run/samples.jsonl")
    before = {name: (folder / name).read_bytes() for name in names(folder) if (folder / name).is_file()}
    code, out, err = in_process(arguments, monkeypatch, capsys)
    assert (code, out) == (2, "") and words in err and "Name a" in err.replace("name a", "Name a"), err
    assert {name: (folder / name).read_bytes() for name in names(folder) if (folder / name).is_file()} == before


@pytest.mark.parametrize("path", ["loop", "loop/x", "nowhere", "nowhere/x"])
@pytest.mark.parametrize("name", ["eval", "train", "dry run", "export"])
def test_a_link_that_leads_nowhere_is_named(
    name: str, path: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "loop").symlink_to("loop")
    (folder / "nowhere").symlink_to("gone")
    saved_run(folder / "run")
    *words, last = {**COMMANDS, "export": ["export", "run"]}[name]
    arguments = [*words, last + path] if last.endswith("=") else [*words, last, path]
    code, out, err = in_process(arguments, monkeypatch, capsys)
    assert (code, out) == (2, "") and f"the link {path.partition('/')[0]} leads nowhere" in err, err


def test_a_path_through_a_new_folder_and_back_stays_usable(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = Path("new/../scores")
    with results_folder(target):
        write_and_emit(target, {"accuracy": 0.5}, [{"id": "a"}], "accuracy 50%", as_json=False)
    assert json.loads((target / "results.json").read_text()) == {"accuracy": 0.5}
    before = names(folder)
    with results_folder(Path("other/../empty")):
        pass
    assert names(folder) == before


def test_main_is_the_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m reasonrl`."""
    import runpy

    monkeypatch.setattr("sys.argv", ["reasonrl", "--help"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("reasonrl", run_name="__main__")
    assert stopped.value.code == 0 and "doctor" in capsys.readouterr().out
    assert cli.main.__module__ == "reasonrl.cli"
