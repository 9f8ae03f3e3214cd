"""What a stopped run left behind is resumed, or named in one message: torn, damaged, missing and foreign files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl import cli
from reasonrl.errors import CheckpointError
from reasonrl.recipe.reading import parse_recipe
from reasonrl.runs.checkpoint import incomplete_reason, list_checkpoints, newest_checkpoint
from reasonrl.stages.run import train
from tests.tiny_runs import rows, tiny, write_recipe

RECIPE = tiny(
    train={"steps": 3, "prompts_per_step": 2},
    checkpoint={"every_steps": 1, "keep_last": 5},
    evaluation={"samples_per_problem": 0},
)
NEWEST, MANIFEST = "checkpoints/step-000003", "checkpoints/step-000003/manifest.json"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("finished")
    write_recipe(folder, RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train(parse_recipe(yaml.safe_dump(RECIPE), "test"), Path("run"), offline=True, quiet=True)
    yield folder


@pytest.fixture
def run(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return Path("run")


@pytest.fixture
def reasonrl(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def call(*arguments: str) -> tuple[int, str]:
        """Exit code, and everything that is printed, on one line."""
        monkeypatch.setattr("sys.argv", ["reasonrl", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return int(stopped.value.code or 0), " ".join((printed.out + printed.err).split())

    return call


Call = Callable[..., tuple[int, str]]


def resume(reasonrl: Call) -> tuple[int, str]:
    return reasonrl("train", "tiny.yaml", "run_dir=run", "--resume", "--offline")


def cut(path: Path, size: int) -> None:
    os.truncate(path, size)


def test_a_run_that_is_not_there_is_not_resumed(run: Path, reasonrl: Call) -> None:
    code, text = reasonrl("train", "tiny.yaml", "run_dir=never_was", "--resume")
    assert code == 2
    assert "never_was does not exist, so there is nothing to resume. Runs beside it: run." in text
    assert not Path("never_was").exists()
    Path("empty").mkdir()
    assert reasonrl("train", "tiny.yaml", "run_dir=empty", "--resume")[0] == 2
    code, text = reasonrl("train", "tiny.yaml", "--resume")
    assert (code, "runs/tiny does not exist, so there is nothing to resume" in text) == (2, True)
    assert not Path("runs").exists()
    assert reasonrl("train", "tiny.yaml", "run_dir=never_was", "--resume", "--dry-run")[0] == 2


def test_an_incomplete_newest_checkpoint_is_named_when_an_older_one_is_taken(run: Path, reasonrl: Call) -> None:
    file = run / NEWEST / "model.safetensors"
    size, whole = file.stat().st_size, file.read_bytes()
    cut(file, 100)
    code, text = resume(reasonrl)
    assert code == 0
    assert f"{NEWEST} is incomplete (model.safetensors is 100 of {size:,} bytes); resuming from step 2" in text
    assert file.read_bytes() == whole
    assert [row["step"] for row in rows(run / "metrics.jsonl") if row["kind"] == "train"] == [1, 2, 3]


def write(text: str) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(text.encode("latin-1")) and None


MANIFESTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a list": (write("[1, 2]"), "manifest.json is damaged"),
    "a number": (write("7"), "manifest.json is damaged"),
    "not UTF-8": (write('{"files": "\xff"}'), "manifest.json is damaged"),
    "files are a list": (write('{"files": ["model.safetensors"]}'), "manifest.json is damaged"),
    "no sizes": (write('{"files": {"model.safetensors": {}}}'), "manifest.json is damaged"),
    "sizes are text": (write('{"files": {"model.safetensors": {"bytes": "x"}}}'), "manifest.json is damaged"),
    "no file": (Path.unlink, "manifest.json is missing"),
    "empty": (lambda path: cut(path, 0), "manifest.json is damaged"),
    "torn": (lambda path: cut(path, 50), "manifest.json is damaged"),
}


@pytest.mark.parametrize(("damage", "reason"), MANIFESTS.values(), ids=MANIFESTS)
def test_a_checkpoint_with_a_damaged_manifest_is_incomplete(
    run: Path, damage: Callable[[Path], Any], reason: str
) -> None:
    damage(run / MANIFEST)
    assert incomplete_reason(run / NEWEST) == reason
    newest = newest_checkpoint(run / "checkpoints")
    assert newest is not None
    assert newest.step == 2


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "trainer/state.json", "trainer/tensors.safetensors"]
)
def test_an_empty_or_missing_file_is_named(run: Path, name: str) -> None:
    file = run / NEWEST / name
    size = file.stat().st_size
    cut(file, 0)
    assert incomplete_reason(run / NEWEST) == f"{name} is 0 of {size:,} bytes"
    file.unlink()
    assert incomplete_reason(run / NEWEST) == f"{name} is missing"
    file.mkdir()
    assert incomplete_reason(run / NEWEST) == f"{name} is missing"


@pytest.mark.parametrize("name", ["step-abc", "step-", "step-1.5", "step--1", "step-\u0661", "best"])
def test_a_folder_that_is_no_step_is_left_alone(run: Path, name: str) -> None:
    (run / NEWEST).rename(run / "checkpoints" / name)
    (run / "checkpoints/step-000009").write_text("a file")
    assert [checkpoint.step for checkpoint in list_checkpoints(run / "checkpoints")] == [1, 2]


def test_checkpoints_are_in_the_order_of_their_steps(run: Path) -> None:
    (run / NEWEST).rename(run / "checkpoints/step-1000000")
    assert [checkpoint.step for checkpoint in list_checkpoints(run / "checkpoints")] == [1, 2, 1_000_000]


def test_a_checkpoint_that_may_not_be_read_is_named_and_not_passed_over(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.read_text

    def refuse(path: Path, *arguments: Any, **options: Any) -> str:
        if "step-000003" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", refuse)  # root may read everything
    with pytest.raises(CheckpointError, match=r"manifest\.json cannot be read \(Permission denied\).* chmod -R u\+rwX"):
        newest_checkpoint(run / "checkpoints")


def test_without_a_complete_checkpoint_the_run_says_so_and_keeps_the_rows(run: Path, reasonrl: Call) -> None:
    for folder in (run / "checkpoints").iterdir():
        cut(folder / "model.safetensors", 10)
    before = (run / "metrics.jsonl").read_bytes(), (run / "samples.jsonl").read_bytes()
    code, text = resume(reasonrl)
    assert code == 0
    assert text.count("is incomplete (model.safetensors is 10 of") == 3
    assert "run has no complete checkpoint, so it starts over from its first step" in text
    assert ((run / "metrics.earlier-1.jsonl").read_bytes(), (run / "samples.earlier-1.jsonl").read_bytes()) == before
    assert [row["step"] for row in rows(run / "metrics.jsonl") if row["kind"] == "train"] == [1, 2, 3]
    shutil.rmtree(run / "checkpoints")
    assert resume(reasonrl)[0] == 0
    assert (run / "metrics.earlier-2.jsonl").exists()


@pytest.mark.parametrize("name", ["metrics.jsonl", "samples.jsonl"])
@pytest.mark.parametrize(
    "line", [b'{"kind": "tra', b"[1]", b"\xff\xfe", b"\x00\x00\x00", b'{"kind": "train"}', b"7", b""]
)
def test_a_damaged_row_is_named(run: Path, reasonrl: Call, name: str, line: bytes) -> None:
    cut(run / NEWEST / "model.safetensors", 10)
    lines = (run / name).read_bytes().split(b"\n")
    lines[0] = line
    (run / name).write_bytes(b"\n".join(lines))
    before = (run / name).read_bytes()
    code, text = resume(reasonrl)
    assert code == 2
    assert f"run/{name}, row 1: not a row of this file" in text
    assert "remove that line" in text
    assert (run / name).read_bytes() == before


def test_damaged_rows_after_the_checkpoint_are_dropped_with_the_others(run: Path, reasonrl: Call) -> None:
    shutil.rmtree(run / NEWEST)
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b"\x00\x00\n{torn\n{")
    assert resume(reasonrl)[0] == 0
    assert [row["step"] for row in rows(run / "metrics.jsonl") if row["kind"] == "train"] == [1, 2, 3]


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"sessions": 7}', '{"sessions": [7]}', "\xff"])
def test_a_damaged_run_json_is_one_message(run: Path, reasonrl: Call, text: str) -> None:
    (run / "run.json").write_bytes(text.encode("latin-1"))
    code, printed = resume(reasonrl)
    assert code == 2
    assert "run/run.json is damaged" in printed
    (run / "run.json").write_text("{}")
    assert resume(reasonrl)[0] == 0


@pytest.mark.parametrize("text", ["", "name: [", "\xff", "7"])
def test_a_damaged_recipe_of_the_run_is_one_message(run: Path, reasonrl: Call, text: str) -> None:
    (run / "recipe.yaml").write_bytes(text.encode("latin-1"))
    code, printed = resume(reasonrl)
    assert code == 2
    assert "run/recipe.yaml" in printed


def test_a_complete_run_is_not_resumed_over(run: Path, reasonrl: Call) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*.jsonl")}
    code, text = resume(reasonrl)
    assert (code, "is already complete (3 steps)" in text) == (0, True)
    assert {path: path.read_bytes() for path in run.rglob("*.jsonl")} == before


def test_state_that_lacks_a_key_is_one_message(run: Path, reasonrl: Call) -> None:
    """A manifest of the same folder vouches for the file, so the damage is older than the manifest."""
    shutil.rmtree(run / NEWEST)
    file = run / "checkpoints/step-000002/trainer/state.json"
    manifest = json.loads((file.parents[1] / "manifest.json").read_text())
    file.write_text("{}")

    manifest["files"]["trainer/state.json"] = {"bytes": 2, "sha256": hashlib.sha256(b"{}").hexdigest()}
    (file.parents[1] / "manifest.json").write_text(json.dumps(manifest))
    code, text = resume(reasonrl)
    assert code == 1
    assert "step-000002" in text
