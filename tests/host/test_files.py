"""Whole files and folders, and nothing of others touched on the way."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from reasonrl.host.files import create_folder, replace_folder, replace_text, replacing


def test_a_folder_replaces_its_own_leftovers_and_leaves_those_of_others(tmp_path: Path) -> None:
    """`reasonrl export RUN ~/model` writes into a folder that is not ours: `~/.vim.old` stays."""
    for name in (".vim.old", ".something.tmp", ".model.tmp", ".model.old"):
        (tmp_path / name).mkdir()
    replace_folder(tmp_path / "model", lambda folder: (folder / "weights").write_text("new") and None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".something.tmp", ".vim.old", "model"]


def test_a_folder_that_could_not_be_filled_leaves_the_earlier_one(tmp_path: Path) -> None:
    replace_folder(tmp_path / "model", lambda folder: (folder / "weights").write_text("old") and None)
    with pytest.raises(ZeroDivisionError):
        replace_folder(tmp_path / "model", lambda folder: 1 // 0)
    assert (tmp_path / "model" / "weights").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_text_is_replaced_whole(tmp_path: Path) -> None:
    replace_text(tmp_path / "a" / "b.txt", "one")
    replace_text(tmp_path / "a" / "b.txt", "zwei\n")
    assert (tmp_path / "a" / "b.txt").read_text() == "zwei\n"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_of_two_who_create_a_folder_at_the_same_moment_one_succeeds(tmp_path: Path) -> None:
    def fill_first(folder: Path) -> None:
        (folder / "weights").write_text("first")

    def fill(folder: Path) -> None:
        create_folder(tmp_path / "model", fill_first)
        (folder / "weights").write_text("second")

    with pytest.raises(FileExistsError):
        create_folder(tmp_path / "model", fill)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model/weights").read_text() == "first"


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_modes_follow_the_umask_whoever_has_written(tmp_path: Path, umask: int) -> None:
    def fill(folder: Path) -> None:
        (folder / "inner").mkdir()
        for name in ("weights", "inner/state"):
            (folder / name).write_text("x")
            (folder / name).chmod(0o600)

    before = os.umask(umask)
    try:
        replace_folder(tmp_path / "model", fill)
        replace_text(tmp_path / "text", "x")
    finally:
        os.umask(before)
    for path in (tmp_path / "text", tmp_path / "model" / "weights", tmp_path / "model" / "inner" / "state"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o777 & ~umask


def test_a_link_stays_a_link_and_a_pipe_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    replace_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "new"
    replace_text(Path("/dev/null"), "gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    replace_text(tmp_path / "pipe", "through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "pipe"]


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    for name in ("x" * 255, "é" * 127):
        with replacing(tmp_path / name) as file:
            file.write(b"content")
        assert (tmp_path / name).read_bytes() == b"content"
