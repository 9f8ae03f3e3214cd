"""System calls that Python does not offer: namespaces, mounts, capabilities, seccomp. Linux on x86-64 and arm64.

Most are steps, which a process prepares and `take` carries out later. What the kernel refuses raises OSError: nothing
is skipped in silence.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
from collections.abc import Iterable
from typing import Any

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
_ANY_NAMESPACE = (
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
)
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 1 << 1, 1 << 2, 1 << 12, 1 << 14, 1 << 18
_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 4, 22, 24, 38
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36

_CLONE = {"x86_64": 56, "aarch64": 220}.get(os.uname().machine, -1)

_held = ctypes.PyDLL(None, use_errno=True)
"""Calls that keep the interpreter's lock: the child of a fork has no thread to give it to."""
_clone = _held.syscall
_before_fork, _after_fork_parent = ctypes.pythonapi.PyOS_BeforeFork, ctypes.pythonapi.PyOS_AfterFork_Parent
_after_fork_child = ctypes.pythonapi.PyOS_AfterFork_Child

_UNLIMITED = (1 << 64) - 1
_CAPABILITIES, _NO_CAPABILITY = struct.pack("=Ii", 0x20080522, 0), bytes(24)


def fork_into(namespaces: int) -> int:
    """`os.fork`, with the child as process 1 of fresh namespaces. The caller must have one thread.

    One fork instead of the two that `unshare` needs: forks are most of what a sample costs.
    """
    _before_fork()
    process = _clone(_CLONE, ctypes.c_ulong(namespaces | signal.SIGCHLD), 0, 0, 0, 0)
    code = ctypes.get_errno()
    if process == 0:
        _after_fork_child()
    else:
        _after_fork_parent()
    if process < 0:
        raise OSError(code, f"clone: {os.strerror(code)}")
    return int(process)


Step = tuple[Any, tuple[Any, ...], str]
"""A function that returns a negative number where it fails, its arguments, and what to call it then."""


def take(steps: Iterable[Step]) -> None:
    """One after the other.

    What a child of a fork touches is copied for it, page by page. So all that it does first is prepared before the
    fork: what was made in one go lies on few pages, and this loop touches little else.
    """
    for function, arguments, what in steps:
        if function(*arguments) < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"{what}: {os.strerror(code)}")


def map_own_ids(uid: int, gid: int) -> list[Step]:
    """After CLONE_NEWUSER: the caller's user and group have the same numbers inside."""
    return [
        write_file("/proc/self/setgroups", "deny"),
        write_file("/proc/self/uid_map", f"{uid} {uid} 1"),
        write_file("/proc/self/gid_map", f"{gid} {gid} 1"),
    ]


def write_file(path: str, text: str) -> Step:
    """A file of /proc, which must be there."""
    return _write, (path, text.encode()), path


def _write(path: str, text: bytes) -> int:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        return os.write(descriptor, text)
    finally:
        os.close(descriptor)


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> Step:
    arguments = (source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags))
    return _held.mount, (*arguments, options.encode() or None), f"mount {target}"


def private_mounts() -> Step:
    return mount("none", "/", None, MS_REC | MS_PRIVATE)


def change_folder(path: str) -> Step:
    return _held.chdir, (path.encode(),), f"chdir {path}"


def new_session() -> Step:
    return _held.setsid, (), "setsid"


def limit(name: int, soft: int, hard: int) -> Step:
    """A limit of this process and all that it starts, by its number in `resource`. One that is lower already stays."""
    _, highest = resource.getrlimit(name)
    if highest != resource.RLIM_INFINITY:
        hard = highest if hard == resource.RLIM_INFINITY else min(hard, highest)
    values = (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
    both = (ctypes.c_ulong * 2)(*(_UNLIMITED if value < 0 else min(value, _UNLIMITED) for value in values))
    return _held.setrlimit, (name, both), f"setrlimit {name}"


def adopt_orphans() -> None:
    take([(_held.prctl, (_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl PR_SET_CHILD_SUBREAPER")])


def end_with_parent() -> None:
    """For a process without a namespace. After the last change of its user; no program that it starts gains rights."""
    take(
        [
            (_held.prctl, (_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0), "prctl PR_SET_PDEATHSIG"),
            (_held.prctl, (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl PR_SET_NO_NEW_PRIVS"),
        ]
    )


def give_up_rights() -> list[Step]:
    """No capability, now; and none after an exec, since no file can give any (PR_SET_NO_NEW_PRIVS) and the user is not
    root in its own namespace.
    """
    return [
        (_held.prctl, (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl PR_SET_NO_NEW_PRIVS"),
        (_held.capset, (_CAPABILITIES, _NO_CAPABILITY), "capset"),
    ]


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse_system_calls(program: bytes) -> Step:
    """Loads a filter for this process and all that it starts. After `give_up_rights`."""
    filters = ctypes.byref(_Filter(len(program) // 8, program))
    return _held.prctl, (_PR_SET_SECCOMP, 2, filters, 0, 0), "prctl PR_SET_SECCOMP"
