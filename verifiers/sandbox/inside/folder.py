"""The layer without namespaces: a folder that is emptied between programs, processes that are looked for and ended, and
as root a user of the programs' own.

A program here sees the machine as any process of its user does. What this file does is tidiness; it is not protection.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Any

from verifiers.sandbox.inside import kernel
from verifiers.sandbox.inside.watch import Processes

_FIRST_UID, _UIDS = 61184, 4000
"""Users that distributions leave free for processes of passing services."""
_END_S = 5.0


class Descendants(Processes):
    """What this process has started, and what came of it: orphans are adopted (PR_SET_CHILD_SUBREAPER)."""

    def __init__(self) -> None:
        super().__init__()
        self._met: set[str] = set()

    def names(self) -> list[str]:
        names = self._below(super().names())
        self._met.update(names)
        return names

    def end(self) -> None:
        """Ends them all. Raises OSError if that is not possible."""
        deadline = time.monotonic() + _END_S
        stopped: set[str] = set()
        while left := self._below([name for name in os.listdir(self._folder) if name.isdigit()]):
            if time.monotonic() > deadline:
                raise OSError(f"{len(left)} processes of a program do not end")
            # What is stopped cannot fork. When all are, none can escape what comes next.
            which = signal.SIGSTOP if set(left) - stopped else signal.SIGKILL
            stopped.update(left)
            for name in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(name), which)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass

    def last(self) -> int:
        """The machine's counter says nothing about the program: other processes start too."""
        self.names()
        return len(self._met)

    def _below(self, names: list[str]) -> list[str]:
        parents = {name: text.rpartition(")")[2].split()[1] for name in names if (text := self.read(f"{name}/stat"))}
        below: list[str] = []
        nearest = [str(os.getpid())]
        while nearest:
            nearest = [name for name, parent in parents.items() if parent in nearest]
            below += nearest
        return below


class WorkingFolder:
    """Where programs run, one after the other."""

    def __init__(self, processes: Descendants) -> None:
        """Below the current folder. Raises OSError: as root, where there is no other user to become."""
        self._path = os.path.join(os.getcwd(), "work")
        self._processes = processes
        self._uid = -1
        if os.geteuid() == 0:
            with open("/proc/self/uid_map", encoding="ascii") as file:
                self._uid = free_uid(file.read())
        kernel.adopt_orphans()

    def make(self) -> None:
        os.mkdir(self._path, 0o700)
        if self._uid >= 0:
            os.chown(self._path, self._uid, self._uid)

    def enter(self, settings: dict[str, Any]) -> dict[str, Any]:
        """In the child: the settings, with a number of processes that counts those which the user has already."""
        os.chdir(self._path)
        kernel.take([kernel.write_file("/proc/self/oom_score_adj", "1000")])
        if self._uid >= 0:
            os.setgroups([])
            os.setresgid(self._uid, self._uid, self._uid)
            os.setresuid(self._uid, self._uid, self._uid)
            others = 0
        else:
            others = _tasks_of(os.getuid())
        kernel.end_with_parent()
        return settings | {"processes": settings["processes"] + others}

    def clear(self) -> None:
        """Ends what still runs, and removes the folder. Raises OSError."""
        self._processes.end()
        remove_tree(self._path)


def free_uid(uid_map: str) -> int:
    """A user that is not root and that this process may become: inside a container not every number is mapped. Raises
    OSError if there is none.
    """
    wanted = _FIRST_UID + os.getpid() % _UIDS
    ranges = [(int(words[0]), int(words[2])) for words in map(str.split, uid_map.splitlines())]
    if any(first <= wanted < first + count for first, count in ranges):
        return wanted
    highest = max(first + count - 1 for first, count in ranges)
    if highest < 1:
        raise OSError("programs must not run as root, and there is no other user here")
    return highest


def _tasks_of(uid: int) -> int:
    """Threads of a user's processes, which RLIMIT_NPROC counts."""
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):  # it ended in the meantime
                if os.stat(f"/proc/{name}").st_uid == uid:
                    count += len(os.listdir(f"/proc/{name}/task"))
    return count


def remove_tree(path: str) -> None:
    """Removes a folder that a program filled: however deep, and with rights taken away. Follows no link. Raises OSError
    if it is still there afterwards.
    """
    with contextlib.suppress(OSError):
        os.rmdir(path)
    if not os.path.lexists(path):
        return
    command = 'rm -rf -- "$0" 2>/dev/null || { chmod -R u+rwx -- "$0"; rm -rf -- "$0"; } 2>/dev/null'
    child = os.posix_spawn("/bin/sh", ["/bin/sh", "-c", command, path], {"PATH": "/usr/bin:/bin"})
    os.waitpid(child, 0)
    if os.path.lexists(path):
        raise OSError(f"the folder {path} could not be removed")
