"""A checkpoint is there whole or not at all, and a full disk costs nothing that was saved before."""

from __future__ import annotations

import errno
import importlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError

from reasonrl import cli
from reasonrl.errors import CheckpointError
from reasonrl.host.files import replace_text
from reasonrl.models import tiny as tiny_model
from reasonrl.runs.checkpoint import (
    MANIFEST,
    Checkpoint,
    is_complete,
    list_checkpoints,
    newest_checkpoint,
    save_checkpoint,
    write_folder,
)
from tests.tiny_runs import rows, tiny, write_recipe


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_model.build_model(0, torch.float32)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_model.build_tokenizer()


def save(root: Path, step: int, model: Any, tokenizer: Any, keep_last: int = 9) -> Checkpoint:
    tensors = {"a/weight": torch.full((3,), float(step))}
    return save_checkpoint(
        root, step, model=model, tokenizer=tokenizer, tensors=tensors, state={"best": 0.5}, keep_last=keep_last
    )


def test_what_is_saved_comes_back(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    made = save(tmp_path, 12, model, tokenizer)
    found = newest_checkpoint(tmp_path)
    assert found == made == Checkpoint(tmp_path / "step-000012", 12)
    assert found.state() == {"step": 12, "best": 0.5}
    assert torch.equal(found.tensors()["a/weight"], torch.full((3,), 12.0))
    manifest = json.loads((found.path / MANIFEST).read_text())
    on_disk = {str(p.relative_to(found.path)) for p in found.path.rglob("*") if p.is_file()}
    assert set(manifest["files"]) == on_disk - {MANIFEST}
    assert manifest["step"] == 12


def test_only_the_last_are_kept(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    for step in (1, 2, 3, 4):
        save(tmp_path, step, model, tokenizer, keep_last=2)
    assert sorted(os.listdir(tmp_path)) == ["step-000003", "step-000004"]


def test_what_is_incomplete_is_no_checkpoint(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    for step in (1, 2, 3, 4):
        save(tmp_path, step, model, tokenizer)
    (tmp_path / "step-000004" / MANIFEST).unlink()
    weights = tmp_path / "step-000003" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    (tmp_path / "step-000002" / "trainer" / "state.json").unlink()
    assert [c.step for c in list_checkpoints(tmp_path)] == [1]
    assert newest_checkpoint(tmp_path) == Checkpoint(tmp_path / "step-000001", 1)
    (tmp_path / "step-000001" / MANIFEST).write_text('{"files": {"a')
    assert not is_complete(tmp_path / "step-000001")
    assert newest_checkpoint(tmp_path) is None
    assert newest_checkpoint(tmp_path / "nowhere") is None


def test_damage_of_the_same_size_is_refused_by_file(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    made = save(tmp_path, 1, model, tokenizer)
    weights = made.path / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"step-000001/model.safetensors is damaged"):
        newest_checkpoint(tmp_path)


def test_leftovers_of_a_kill_are_swept_and_files_of_others_left(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    for name in (".step-000001.tmp", ".step-000000.old"):
        (tmp_path / name / "trainer").mkdir(parents=True)
    (tmp_path / ".metrics.jsonl.123.tmp").write_text("a write that was killed")
    save(tmp_path, 1, model, tokenizer)
    assert sorted(os.listdir(tmp_path)) == [".metrics.jsonl.123.tmp", "step-000001"]


def test_a_folder_is_replaced_at_once(tmp_path: Path) -> None:
    for text in ("old", "new"):
        write_folder(tmp_path / "best", lambda folder, text=text: (folder / "x").write_text(text) and None, {"step": 1})
    assert (tmp_path / "best" / "x").read_text() == "new"
    with pytest.raises(ZeroDivisionError):
        write_folder(tmp_path / "best", lambda folder: 1 // 0, {"step": 2})
    assert (tmp_path / "best" / "x").read_text() == "new"
    assert os.listdir(tmp_path) == ["best"]


def test_a_full_disk_as_safetensors_tells_it_is_an_oserror(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with pytest.raises(OSError, match="No space left") as caught:
        write_folder(tmp_path / "x", fill, {})
    assert caught.value.errno == errno.ENOSPC

    def other(folder: Path) -> None:
        raise SafetensorError("some other thing")

    with pytest.raises(SafetensorError):
        write_folder(tmp_path / "x", other, {})


def test_atomic_writes_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_text(tmp_path / "a", "one")

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_text(tmp_path / "a", "two")
    assert (tmp_path / "a").read_text() == "one"
    assert os.listdir(tmp_path) == ["a"]


def test_a_full_disk_ends_the_run_in_one_sentence_and_keeps_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The third checkpoint does not fit. The second stays, the metrics stay, and a resumed run goes on from there."""
    monkeypatch.chdir(tmp_path)
    importlib.import_module("transformers.modeling_utils")  # imported later, it would keep the function below
    spec = {"every_steps": 1, "keep_last": 2}
    path = write_recipe(tmp_path, tiny(train={"steps": 3}, checkpoint=spec, evaluation={"samples_per_problem": 0}))
    real, written = safetensors.torch.save_file, []

    def full(tensors: Any, filename: Any, *more: Any, **options: Any) -> None:
        if "step-000003" in str(filename):
            raise OSError(errno.ENOSPC, "No space left on device", str(filename))
        written.append(filename)
        real(tensors, filename, *more, **options)

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    monkeypatch.setattr("sys.argv", ["reasonrl", "train", str(path), "run_dir=r", "--quiet"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 1
    said = capsys.readouterr().err
    assert "error: the disk is full at" in said
    assert "--resume" in said
    assert "Traceback" not in said
    assert sorted(os.listdir(tmp_path / "r" / "checkpoints")) == ["step-000001", "step-000002"]
    assert newest_checkpoint(tmp_path / "r" / "checkpoints") is not None
    assert [row["step"] for row in rows(tmp_path / "r" / "metrics.jsonl") if row["kind"] == "train"] == [1, 2, 3]

    monkeypatch.setattr(safetensors.torch, "save_file", real)
    monkeypatch.setattr("sys.argv", ["reasonrl", "train", str(path), "run_dir=r", "--quiet", "--resume"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 0
    assert [row["step"] for row in rows(tmp_path / "r" / "metrics.jsonl")] == [0, 1, 2, 3, 3]
