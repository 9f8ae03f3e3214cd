"""What surrounds a command: the umask, the width of the terminal, modes of installed files."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from reasonrl.host.files import replace_folder
from reasonrl.host.outputs import memory_error_text
from reasonrl.recipe.reading import shipped_recipes
from tests.test_cli import in_process


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_a_copied_recipe_has_the_modes_of_the_umask_whatever_those_of_its_source(
    umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "installed" / "smoke"
    shutil.copytree(shipped_recipes() / "smoke", source)
    (source / "data").mkdir()
    (source / "data" / "rows.jsonl").write_text("{}\n")
    for path in (source / "data" / "rows.jsonl", source / "recipe.yaml"):
        path.chmod(0o444)
    for folder in (source / "data", source):
        folder.chmod(0o555)
    monkeypatch.chdir(tmp_path)
    before = os.umask(umask)
    try:
        code, _, err = in_process(["recipes", "cp", str(source), "mine"], monkeypatch, capsys)
    finally:
        os.umask(before)
        for folder in (source, source / "data"):
            folder.chmod(0o755)
    assert code == 0, err
    copied = [tmp_path / "mine", *(tmp_path / "mine").rglob("*")]
    assert {str(path.relative_to(tmp_path / "mine")) for path in copied} >= {"recipe.yaml", "data", "data/rows.jsonl"}
    for path in copied:
        assert stat.S_IMODE(path.stat().st_mode) == (0o777 if path.is_dir() else 0o666) & ~umask, path


@pytest.mark.parametrize(("columns", "left"), [("0", None), ("1", None), ("", None), ("abc", None), ("60", "60")])
def test_a_width_that_no_table_fits_in_is_not_believed(
    columns: str, left: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert in_process(["recipes", "ls"], monkeypatch, capsys)[0] == 0
    assert os.environ.get("COLUMNS") == left


@pytest.mark.parametrize(
    ("flags", "out", "err"), [([], "", "error: interrupted\n"), (["--json"], '{"error": "interrupted"}\n', "")]
)
def test_ctrl_c_ends_any_command_with_a_message(
    flags: list[str], out: str, err: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("reasonrl.commands.evaluate.eval_command", interrupted)
    assert in_process(["eval", "model", *flags], monkeypatch, capsys) == (130, out, err)


def test_a_file_in_the_place_of_a_folder_is_named_and_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "best"
    place.write_text("of the user")
    with pytest.raises(FileExistsError) as refused:
        replace_folder(place, lambda folder: (folder / "new").touch())
    assert refused.value.filename == str(place)
    assert place.read_text() == "of the user" and list(tmp_path.iterdir()) == [place]


def test_a_library_that_finds_no_memory_is_no_fault_of_ours() -> None:
    error = ImportError("libtorch_cpu.so: failed to map segment from shared object")
    assert "the memory is full" in (memory_error_text(error) or "")
    assert memory_error_text(ImportError("No module named 'x'")) is None
