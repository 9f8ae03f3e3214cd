"""Folders of the user, where the home folder is missing, is a file or cannot be written."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path


def ensure_home() -> None:
    """Give a process without a home folder (a container that runs under an unknown number) a private temporary one:
    libraries would make a folder named `~` in the current one.
    """
    home = os.path.expanduser("~")
    if home != "~":
        if not os.access(home, os.W_OK) and "MPLCONFIGDIR" not in os.environ and (plots := temporary_folder("plots")):
            os.environ["MPLCONFIGDIR"] = str(plots)  # matplotlib would warn at each start
        return
    folder = temporary_folder("home")
    if folder is not None:
        os.environ["HOME"] = str(folder)
        print(f"note: there is no home folder (HOME is not set); caches go to {folder}", file=sys.stderr)


def home_folder() -> Path | None:
    """The home folder, which may not exist; None where nothing says which it is."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def temporary_folder(name: str) -> Path | None:
    """A folder for temporary files that belongs to this user alone, the same at every call; None where there is none.

    Others may write in /tmp too: a folder of this name that is not ours, or is open to others, is not used.
    """
    user = os.getuid()
    folder = Path(tempfile.gettempdir()) / f"reasonrl-{name}-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError:
        return None
    private = stat.S_ISDIR(facts.st_mode) and facts.st_uid == user and not facts.st_mode & 0o022
    return folder if private else None


def is_writable(folder: Path) -> bool:
    """Whether files can be written into a folder, which is made where it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"1")
    except OSError:
        return False
    return True
