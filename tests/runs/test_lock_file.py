"""What may stand in the place of a lock file: remains of other users and processes, links, folders and pipes."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from reasonrl.errors import UsageError
from reasonrl.runs.lock import LOCK_FILE, locked, refuse_locked

ADVICE = "Wait for it"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe{", b"[]", b"null", b'{"pid": 1}', b"x" * 100_000])
def test_remains_of_a_lock_do_not_block_whatever_they_hold(content: bytes, tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_bytes(content)
    refuse_locked(tmp_path, ADVICE)
    with locked(tmp_path, ADVICE):
        assert (tmp_path / LOCK_FILE).read_bytes() != content
    assert not (tmp_path / LOCK_FILE).exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe{", b"[]", b"null"])
def test_a_lock_that_does_not_name_its_owner_holds_as_well(content: bytes, tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_bytes(content)
    with (tmp_path / LOCK_FILE).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match=r"is being written by another process\. Wait for it"):
            refuse_locked(tmp_path, ADVICE)
        with pytest.raises(UsageError, match=r"by another process\. Wait for it"), locked(tmp_path, ADVICE):
            pass
    assert (tmp_path / LOCK_FILE).read_bytes() == content


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("kind", ["link", "dead link", "folder", "pipe"])
def test_what_is_not_a_plain_file_is_named_and_left_alone(kind: str, shared: bool, tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    run.mkdir()
    other.write_text("of the user")
    place = run / LOCK_FILE
    {
        "link": lambda: place.symlink_to(other),
        "dead link": lambda: place.symlink_to("gone"),
        "folder": place.mkdir,
        "pipe": lambda: os.mkfifo(place),
    }[kind]()
    refuse_locked(run, ADVICE)
    refused = pytest.raises(UsageError, match=r"\.lock cannot be used as a lock \(.*Remove it, or name another folder")
    with refused, locked(run, ADVICE, shared=shared):
        pass
    assert os.path.lexists(place) and not (run / "gone").exists()
    assert other.read_text() == "of the user"


@pytest.mark.parametrize("in_use", [False, True])
def test_the_lock_that_another_user_has_left_is_replaced_unless_it_is_in_use(
    in_use: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / LOCK_FILE
    place.touch()
    file_of_other = place.stat().st_ino
    plain_open = os.open

    def no_writing(path: Any, flags: int, *more: Any, **options: Any) -> int:
        is_other = os.path.lexists(path) and os.lstat(path).st_ino == file_of_other
        if is_other and flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return plain_open(path, flags, *more, **options)

    monkeypatch.setattr("os.open", no_writing)
    with place.open("rb") as file:
        if in_use:
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(UsageError, match="is being written by another process"), locked(tmp_path, ADVICE):
                pass
            assert place.stat().st_ino == file_of_other
        else:
            with locked(tmp_path, ADVICE):
                assert place.stat().st_ino != file_of_other
            assert not place.exists()
