"""Run as root, in a process of its own: gives up root and becomes another program.

    python launch.py UID FOLDER... -- COMMAND...

An unprivileged user may not reach the interpreter's folder (below /root, for example). So the folders are mounted once
more, in a mount namespace of this process alone, where that user can read them.
"""

from __future__ import annotations

import ctypes
import os
import sys

_CLONE_NEWNS, _BIND, _REC, _PRIVATE = 0x20000, 1 << 12, 1 << 14, 1 << 18
_PLACE = "/mnt"


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()) != 0:
        code = ctypes.get_errno()
        raise SystemExit(f"mount {target}: {os.strerror(code)}")


def main() -> None:
    uid, *words = sys.argv[1:]
    folders, command = words[: words.index("--")], words[words.index("--") + 1 :]
    if not all(map(_is_open, folders)):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNS) != 0:
            raise SystemExit(f"unshare: {os.strerror(ctypes.get_errno())}")
        _mount("none", "/", "none", _REC | _PRIVATE)
        opened = [os.open(folder, os.O_PATH) for folder in folders]  # before the next mount covers one of them
        _mount("tmpfs", _PLACE, "tmpfs", 0, "mode=0755,size=64k")
        for number, (folder, descriptor) in enumerate(zip(folders, opened, strict=True)):
            place = f"{_PLACE}/{number}"
            os.mkdir(place)
            _mount(f"/proc/self/fd/{descriptor}", place, "none", _BIND | _REC)
            command = _moved(command, folder, place)
    os.setgroups([])
    os.setgid(int(uid))
    os.setuid(int(uid))
    os.execv(command[0], command)


def _is_open(folder: str) -> bool:
    """Whether every user may enter it and what is above it."""
    path = os.path.realpath(folder)
    while True:
        if os.stat(path).st_mode & 0o005 != 0o005 and path != "/":
            return False
        if path == "/":
            return True
        path = os.path.dirname(path)


def _moved(command: list[str], folder: str, place: str) -> list[str]:
    """--ro-bind FOLDER FOLDER becomes --ro-bind PLACE FOLDER; a program below FOLDER is started from PLACE."""
    moved = list(command)
    if command[0].startswith(folder + "/"):
        moved[0] = place + command[0][len(folder) :]
    for number, word in enumerate(command):
        if word == "--ro-bind" and command[number + 1] == folder:
            moved[number + 1] = place
    return moved


if __name__ == "__main__":
    main()
