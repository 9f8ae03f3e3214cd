"""One writer for each folder: a lock that the kernel releases when its process ends, however it ends.

The lock is an flock on the file `.lock` in the folder, which names its owner for the message that others get. The file
is removed with the lock; one that a killed process has left does not block. File systems without flock (some network
mounts) have no lock: there, two writers in one folder are not noticed.
"""

from __future__ import annotations

import errno
import fcntl
import getpass
import json
import os
import shlex
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from reasonrl.errors import UsageError
from reasonrl.host.files import missing_folders
from reasonrl.host.files import remove_empty as remove_empty
from reasonrl.host.outputs import cannot_write

LOCK_FILE = ".lock"
_TRIES = 100
_NO_FLOCK = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass
class _Lock:
    handle: int
    depth: int = 1


_locks: dict[tuple[int, str], _Lock] = {}
"""By thread and folder: a thread may lock again what it has locked; to another thread it is locked."""


def _forget_locks() -> None:
    for lock in _locks.values():
        os.close(lock.handle)
    _locks.clear()


# A forked worker that outlives its parent would keep the parent's lock.
os.register_at_fork(after_in_child=_forget_locks)


@contextmanager
def locked(folder: Path, advice: str, *, shared: bool = False) -> Iterator[None]:
    """Keep other processes and threads from writing `folder`, which is made if it is not there.

    The lock of a stage's folder is that of its run. It may be taken again inside the block, by the same thread.

    Args:
        advice: what the refused one can do, as the end of a message: "Wait for it, or ...".
        shared: for reading: others may read as well. In a folder that cannot be written this locks nothing.

    Raises:
        UsageError: another one writes there (or reads, unless `shared`), whom the message names; or the folder cannot
            be made or written.
    """
    new_folders: list[Path] = []
    try:
        root = run_of(folder)
        key = (threading.get_ident(), os.path.realpath(root))
        if key in _locks:
            _locks[key].depth += 1
        else:
            new_folders = missing_folders(root)
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        if key not in _locks:
            handle = _acquire(root, advice, shared=shared)
            if handle is not None:
                _locks[key] = _Lock(handle)
        yield
    finally:
        _release(key, root)
        remove_empty(new_folders)


def refuse_locked(folder: Path, advice: str) -> None:
    """Raises UsageError where another process or thread has locked `folder`. Changes nothing."""
    root = run_of(folder)
    if (threading.get_ident(), os.path.realpath(root)) in _locks:
        return
    try:
        handle = os.open(root / LOCK_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        _flock(handle, fcntl.LOCK_SH, root, advice)
    finally:
        os.close(handle)


def run_of(folder: Path) -> Path:
    """The run that a stage's folder belongs to; any other folder itself."""
    resolved = Path(os.path.realpath(folder))  # Path.resolve has no OSError for links in a circle
    run = resolved.parent.parent
    if resolved.parent.name != "stages" or not (run / "recipe.yaml").is_file():
        return folder
    return folder.parent.parent if folder.parent.name == "stages" else run


def entries(folder: Path) -> list[Path]:
    """What a folder holds apart from a lock."""
    return [path for path in folder.iterdir() if path.name != LOCK_FILE]


def _acquire(root: Path, advice: str, *, shared: bool) -> int | None:
    """A handle that holds the lock; None for a reader where nothing can be written."""
    for tries_left in reversed(range(_TRIES)):
        try:
            root.mkdir(parents=True, exist_ok=True)
            handle = _open(root / LOCK_FILE)
        except FileNotFoundError as error:  # the folder was removed by the process that had just left it
            if not tries_left:
                raise cannot_write(root, error) from error
            continue
        except (FileExistsError, NotADirectoryError) as error:
            if os.path.islink(error.filename or root):
                raise cannot_write(root, error) from error
            raise UsageError(
                f"{root} cannot be a folder: it is a file, or is inside one. Name another folder"
            ) from None
        except OSError as error:
            if shared and error.errno in _NOT_WRITABLE:
                return None
            if os.path.lexists(root / LOCK_FILE):
                reason = "it is a link" if error.errno == errno.ELOOP else error.strerror
                raise UsageError(
                    f"{root / LOCK_FILE} cannot be used as a lock ({reason}). Remove it, or name another folder"
                ) from error
            raise cannot_write(root, error) from error
        try:
            _flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, root, advice)
            if _is_file(handle, root):  # else its owner removed it in the meantime, and the next one makes another
                with suppress(OSError):  # on a full disk the lock holds as well, without a name
                    os.ftruncate(handle, 0)
                    os.pwrite(handle, json.dumps(_this_process(reads=shared)).encode(), 0)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    raise UsageError(f"{root} is being locked and released by other processes. {advice}")


def _open(file: Path) -> int:
    """The lock file, made where it is missing. Raises OSError for what is not a plain file: through a link, the name of
    the owner would replace the content of another file.
    """
    flags = os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        handle = os.open(file, flags | os.O_RDWR, 0o666)
    except PermissionError:
        return _open_of_other(file)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a plain file")
    return handle


def _open_of_other(file: Path) -> int:
    """Replace a lock file that another user has left, which may be read but not written."""
    handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(file)
    except BlockingIOError:
        return handle  # it is in use, as the caller will find
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)


def _release(key: tuple[int, str], root: Path) -> None:
    lock = _locks.get(key)
    if lock is None:
        return
    lock.depth -= 1
    if lock.depth:
        return
    del _locks[key]
    with suppress(OSError):  # other readers are left, or the folder is gone or was replaced
        fcntl.flock(lock.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_file(lock.handle, root):
            os.unlink(root / LOCK_FILE)
    os.close(lock.handle)


def _flock(handle: int, kind: int, root: Path, advice: str) -> None:
    for _ in range(5):
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:  # a process that only looks, or that leaves, holds it for less than a millisecond
            time.sleep(0.02)
        except OSError as error:
            if error.errno in _NO_FLOCK:
                return
            raise
    raise UsageError(f"{root} is being {_owner_text(handle)}. {advice}")


def _is_file(handle: int, root: Path) -> bool:
    """Whether `handle` is the lock file that is in the folder now."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(root / LOCK_FILE))
    except FileNotFoundError:
        return False


def _this_process(*, reads: bool) -> dict[str, Any]:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number that no user has
        user = str(os.getuid())
    program = Path(sys.argv[0]).name
    program = "reasonrl" if program in ("cli.py", "__main__.py") else program or "python"
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "user": user,
        "command": shlex.join([program, *sys.argv[1:]]),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
        "reads": reads,
    }


def _owner_text(handle: int) -> str:
    """The end of "FOLDER is being ...". The owner writes its name right after it has the lock, so it may take a
    moment."""
    for _ in range(20):
        try:
            owner = json.loads(os.pread(handle, 1 << 16, 0))
            since = datetime.fromisoformat(owner["since"]).astimezone()
            clock = "%H:%M:%S" if since.date() == datetime.now().date() else "%Y-%m-%d %H:%M:%S"
            return (
                f"{'read' if owner['reads'] else 'written'} by process {owner['pid']} ({owner['command']}) of"
                f" {owner['user']} on {owner['host']} since {since.strftime(clock)}"
            )
        except (ValueError, KeyError, TypeError):
            time.sleep(0.05)
    return "written by another process"
