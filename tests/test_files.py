"""Whole files and folders, and nothing of others touched on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasonrl.files import replace_folder, replace_text


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
