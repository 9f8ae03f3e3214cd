"""Writes files and folders atomically: a reader finds the old one or the new one, never half of either."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def replacing(path: Path) -> Iterator[IO[Any]]:
    """A binary file in the same folder that replaces `path` when the block succeeds, and is removed when it fails.

    A link stays a link: the file that it leads to is replaced or made. A device or a pipe (/dev/stdout) is written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            yield device
        return
    # A short name: that of the file may be as long as the file system allows.
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # write() and fsync() name no file
            error.filename = str(path)
        raise


def replace_text(path: Path, text: str) -> None:
    """Write `text` to `path`; on failure the file keeps its earlier content."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def replace_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Create or replace `folder` with everything that `fill` writes into an empty one, or change nothing. Leftovers of
    an earlier write of `folder` that was killed are removed. File modes follow the umask.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder.parent, folder.name)
    temporary = folder.with_name(f".{folder.name}.tmp")
    temporary.mkdir()
    try:
        fill(temporary)
        follow_umask(temporary)
        for file in temporary.rglob("*"):
            if file.is_file():
                _fsync(file)
        if folder.exists():
            remove_folder(folder)
        os.replace(temporary, folder)
        _fsync(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def create_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Create `folder` with everything that `fill` writes into an empty one, or change nothing. Of two processes that
    create it at the same moment one succeeds. File modes follow the umask.

    Raises:
        FileExistsError: it is there by now, and not empty.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name[:40]}.{secrets.token_hex(4)}.tmp")
    temporary.mkdir()
    try:
        fill(temporary)
        follow_umask(temporary)
        try:
            os.rename(temporary, folder)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder)) from error
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def follow_umask(folder: Path) -> None:
    """Give the files in a folder the mode that open() gives new ones; some libraries (safetensors) write private files.
    The folder was made by mkdir, so its own mode shows the umask.
    """
    mode = folder.stat().st_mode & 0o666
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            file.chmod(mode)


def missing_folders(folder: Path) -> list[Path]:
    """What `mkdir(parents=True)` would make for `folder`, the innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists() and path.name != ".."]
    # In new/../there only `new` is missing: the others are found once it is made.
    return [path for path in missing if not Path(os.path.normpath(path)).exists()]


def remove_empty(folders: list[Path]) -> None:
    """Remove folders that hold nothing. Each is inside the next. From the first that holds something on they stay: in
    new/../run the path to `run` leads through the empty `new`.
    """
    for folder in folders:
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return


def remove_folder(folder: Path) -> None:
    """Remove a folder, renaming it first: a kill during the removal must not leave half a folder under a valid name."""
    renamed = folder.with_name(f".{folder.name}.old")
    os.replace(folder, renamed)
    shutil.rmtree(renamed)


def remove_leftovers(parent: Path, names: str) -> None:
    """Remove the leftovers of killed processes that were replacing folders in `parent`. `names` is a glob of the
    folders' names; no other folder is touched.
    """
    for leftover in [*parent.glob(f".{names}.tmp"), *parent.glob(f".{names}.old")]:
        if leftover.is_dir():  # a file of this name belongs to `replacing`
            shutil.rmtree(leftover)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
