"""Paths that a user names: `~` in them, what the operating system refuses, and a check before hours of work."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from reasonrl.errors import UsageError
from reasonrl.host.files import missing_folders, remove_empty

FULL = (errno.ENOSPC, errno.EDQUOT)
_SHOWN_CHARACTERS = 120
_REASONS = {
    errno.EACCES: "permission is denied. Check the owner and the mode (ls -ld), or name another path",
    errno.EPERM: "the system does not permit it. Name another path",
    errno.EROFS: "the file system is read-only. Name a path on another one",
    errno.ENAMETOOLONG: "the name is too long. Write a shorter one",
    errno.EEXIST: "something else is there already. Remove it, or name another path",
    errno.ENOTEMPTY: "a folder that is not empty is there already. Remove it, or name another path",
    errno.ENOTDIR: "a part of the path is a file, not a folder. Name another path",
    errno.EISDIR: "it is a folder. Name a file",
    errno.ENOENT: "there is no such file or folder. Check the path",
    errno.ELOOP: "its symbolic links lead in a circle. Name another path",
    errno.EXDEV: "the path leads to another file system. Name a path on this one",
    errno.ENODEV: "the device does not exist. Name another path",
    errno.ENXIO: "the device does not exist. Name another path",
    errno.EBUSY: "it is in use. Close what uses it, or name another path",
    errno.ETXTBSY: "it is in use. Close what uses it, or name another path",
}
"""Errors that lie in the path that was written."""
_FAILURES = {
    errno.EFBIG: "the file would be larger than the limit. Raise it (ulimit -f), or name a path on another file system",
    errno.EMFILE: "too many files are open. Raise the limit: ulimit -n 4096",
    errno.ENFILE: "too many files are open on this machine. Close some programs",
    errno.ENOMEM: "the memory is full. Close some programs, or use smaller batches",
    errno.EAGAIN: "the system has no more processes or memory for this user. Raise the limit: ulimit -u",
    errno.EIO: "the device reports an error. Check the disk, or name a path on another one",
    errno.ESTALE: "the network drive has lost the file. Mount it again",
    errno.ENOTCONN: "the network drive is not connected. Mount it again",
    errno.ECONNREFUSED: "the connection was refused. Check the address, and that the server runs",
    errno.EPIPE: "the connection was closed by the other side. Try again",
    errno.ECONNRESET: "the connection was closed by the other side. Try again",
    errno.EHOSTUNREACH: "the host cannot be reached. Check the network",
    errno.ENETUNREACH: "the network cannot be reached. Check it, or write --offline",
    errno.ETIMEDOUT: "there was no answer in time. Try again",
    errno.EADDRINUSE: "the port is in use. Name another",
}
"""Errors of the machine."""
_OF_FULL_MEMORY = ("can't allocate memory", "failed to map segment from shared object")
"""Words of torch and of the dynamic linker (ulimit -v)."""
_OWN_FILES = {
    "the run": ("run.json", "recipe.yaml", "inputs.json", "metrics.jsonl", "samples.jsonl", "report.html"),
    "the evaluation": ("results.json", "samples.jsonl"),
}
"""Files that no other command may replace, in a folder that has the first of them."""


def user_path(text: str | Path, name: str = "") -> Path:
    """A path with `~` as the home folder. `./~` is a folder of that name.

    Raises:
        UsageError: there is no such home, or the path is not UTF-8, which libraries need. `name` is the argument or the
            key that the message begins with.
    """
    place = f"{name}{' ' if name else ''}{text}"
    _check_characters(str(text), place)
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(f"{place}: the home folder is not known. Write the whole path") from None


def user_text(text: str) -> str:
    """The same for a text that may be a path, and for `run_dir=~/path`. What reads other keys knows which are paths."""
    _check_characters(text, text)
    key, equals, value = text.partition("=")
    if equals and key == "run_dir" and value.startswith("~"):
        return f"{key}={user_path(value)}"
    return str(user_path(text)) if text.startswith("~") else text


def os_error_text(error: OSError) -> str | None:
    """One sentence for an error of the operating system, with the file and what to do; None for one that neither a path
    nor the machine explains.
    """
    if error.errno is None:  # libraries raise OSError with a sentence of their own
        return str(error) or None
    paths = [os.fsdecode(path) for path in (error.filename, error.filename2) if isinstance(path, str | bytes)]
    where = " -> ".join(_shortened(path) for path in paths)
    if error.errno in FULL:
        place = f" at {where}" if where else ""
        return f"the disk is full{place}. Complete files are intact; free some space, then try again (train: --resume)"
    if error.errno == errno.ENOENT and not where and not _has_current_folder():
        return "the current folder does not exist any more. Change to another one (cd)"
    reason = _REASONS.get(error.errno) or _FAILURES.get(error.errno)
    if reason is None:
        return None
    return f"{where}: {reason}" if where else f"{(error.strerror or str(error)).lower()}: {reason}"


def as_os_error(error: Exception) -> OSError | None:
    """The error of the operating system that an exception is or, in libraries that are written in Rust (safetensors,
    tokenizers), speaks of: "File too large (os error 27)".
    """
    if isinstance(error, OSError):
        return error
    number = re.search(r"\(os error (\d+)\)", str(error))
    return None if number is None else OSError(int(number[1]), os.strerror(int(number[1])))


def is_users_mistake(error: OSError) -> bool:
    """Whether another path would help, in contrast to a machine that fails."""
    return error.errno in _REASONS


def memory_error_text(error: Exception) -> str | None:
    """One sentence where the memory of the machine or of its GPU is full; None for any other error."""
    full = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if not full and not any(words in str(error) for words in _OF_FULL_MEMORY):
        return None
    detail = (str(error).splitlines() or [""])[0][:200]
    return (
        f"the memory is full{f' ({detail})' if detail else ''}. Use fewer rollouts or tokens at a time, a smaller"
        " model, or a machine with more memory; reasonrl train RECIPE --dry-run estimates what a run needs"
    )


def reason_text(error: OSError) -> str:
    """Why a path cannot be used and what to do, as the end of a message that names the path."""
    number = error.errno or 0
    return _REASONS.get(number) or _FAILURES.get(number) or f"{error.strerror or error}. Name another path"


def check_folder(folder: Path, name: str, *, shown: Path | None = None) -> None:
    """Check that a folder can be made or is there, and that files can be written into it. Leaves nothing behind.

    Args:
        name: the argument or key of the folder, with which the message begins: "--output".
        shown: what the user wrote, if that is not the folder itself.

    Raises:
        UsageError: it cannot. OSError where the disk is full.
    """
    refuse_checkpoints(folder, name)
    new_folders: list[Path] = []
    try:
        new_folders = missing_folders(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"1")
    except OSError as error:
        raise cannot_write(shown or folder, error, name) from error
    finally:
        remove_empty(new_folders)


def refuse_checkpoints(folder: Path, name: str = "") -> None:
    """Raises UsageError for a folder that is, or is in, the checkpoints of a run: the run removes old ones."""
    whole = Path(os.path.realpath(folder))
    for part in (whole, *whole.parents):
        in_run = part.name in ("checkpoints", "best") and os.path.exists(part.parent / "recipe.yaml")
        if in_run or (part.name.startswith("step-") and os.path.exists(part / "manifest.json")):
            raise UsageError(
                f"{name}{' ' if name else ''}{_shortened(str(folder))} is in the checkpoints of a run, which removes"
                " old ones. Name a folder somewhere else"
            )


def check_file(file: Path, name: str, *, inputs: Sequence[str | Path] = ()) -> None:
    """Check that a file can be written or replaced; as `check_folder`.

    Args:
        inputs: what the command reads; those that are no paths of files do not matter.

    Raises:
        UsageError: it cannot; or it is one of `inputs`, or a file that a run or an evaluation writes. OSError
            where the disk is full.
    """
    _refuse_replacing(file, name, inputs)
    try:
        is_folder = file.is_dir()
        is_device = file.exists() and not file.is_file()
    except OSError as error:
        raise cannot_write(file, error, name) from error
    if is_folder:
        raise UsageError(f"{name} {file}: it is a folder. Name a file")
    if not is_device:
        check_folder(file.parent, name, shown=file)


def _refuse_replacing(file: Path, name: str, inputs: Sequence[str | Path]) -> None:
    whole = Path(os.path.realpath(file))
    if any(_is_same(source, whole) for source in inputs):
        raise UsageError(f"{name} {file}: it is the file that is read. Name another file")
    owners = [
        owner for owner, files in _OWN_FILES.items() if whole.name in files and os.path.exists(whole.parent / files[0])
    ]
    if owners:
        raise UsageError(f"{name} {file}: it belongs to {owners[0]} in {file.parent}. Name another file")


def _is_same(source: str | Path, file: Path) -> bool:
    try:
        return os.path.samefile(source, file)
    except (OSError, ValueError):  # a source may be a name or a text of any other kind
        return False


def cannot_write(path: Path, error: OSError, name: str = "") -> UsageError | OSError:
    """The error to raise where `path`, which the user named, cannot be written: the error itself for a full disk."""
    if error.errno in FULL:
        return error if error.filename else OSError(error.errno, error.strerror, str(path))
    reason = reason_text(error)
    if error.errno == errno.ENOENT:  # its folders were to be made: /proc has no new ones
        reason = "nothing can be made there. Name another path"
    if error.errno == errno.EEXIST:
        reason = "a file is in its place, or in that of its folder. Name another path"
    if link := _dead_link(path):
        reason = f"the link {_shortened(str(link))} leads nowhere. Make what it names, or name another path"
    return UsageError(f"{name}{' ' if name else ''}{_shortened(str(path))}: {reason}")


def _dead_link(path: Path) -> Path | None:
    return next((part for part in (path, *path.parents) if os.path.islink(part) and not os.path.exists(part)), None)


def _check_characters(text: str, place: str) -> None:
    if "\0" in text:
        raise UsageError(f"{place!r}: a path holds no NUL character. Write another")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{place!r} is not valid UTF-8. Rename the file or the folder") from None


def _shortened(path: str) -> str:
    return path if len(path) <= _SHOWN_CHARACTERS else f"{path[:_SHOWN_CHARACTERS]}... ({len(path)} characters)"


def _has_current_folder() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True
