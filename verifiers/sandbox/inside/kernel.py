"""System calls that Python does not offer: namespaces, mounts, capabilities, seccomp. Linux on x86-64 and arm64.

Every function raises OSError if the kernel refuses: nothing is skipped in silence.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
_ANY_NAMESPACE = (
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
)
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 1 << 1, 1 << 2, 1 << 12, 1 << 14, 1 << 18
_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 4, 22, 24, 38
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36

_CLONE = {"x86_64": 56, "aarch64": 220}

_libc = ctypes.CDLL(None, use_errno=True)
_held = ctypes.PyDLL(None, use_errno=True)
"""Calls that keep the interpreter's lock: the child of a fork has no thread to give it back."""


_CAPABILITIES, _NO_CAPABILITY = struct.pack("=Ii", 0x20080522, 0), bytes(24)


def _checked(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def fork_into(namespaces: int) -> int:
    """`os.fork`, with the child as process 1 of fresh namespaces. The caller must have one thread.

    One fork instead of the two that `unshare` needs: forks are most of what a sample costs.
    """
    python = ctypes.pythonapi
    python.PyOS_BeforeFork()
    process = _held.syscall(_CLONE[platform.machine()], ctypes.c_ulong(namespaces | signal.SIGCHLD), 0, 0, 0, 0)
    code = ctypes.get_errno()
    if process == 0:
        python.PyOS_AfterFork_Child()
    else:
        python.PyOS_AfterFork_Parent()
    if process < 0:
        raise OSError(code, f"clone: {os.strerror(code)}")
    return int(process)


def map_own_ids(uid: int, gid: int, inside_uid: int | None = None, inside_gid: int | None = None) -> None:
    """After CLONE_NEWUSER: the caller's user and group become `inside_uid` and `inside_gid` (the same by default)."""
    for path, text in (
        ("/proc/self/setgroups", "deny"),
        ("/proc/self/uid_map", f"{uid if inside_uid is None else inside_uid} {uid} 1"),
        ("/proc/self/gid_map", f"{gid if inside_gid is None else inside_gid} {gid} 1"),
    ):
        write_file(path, text)


def write_file(path: str, text: str) -> None:
    """A file of /proc, which must be there."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def look_up() -> None:
    """Finds the functions of the C library, so that no child has to."""
    for function in (_libc.prctl, _libc.capset, _libc.mount, _held.syscall):
        assert function


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    filesystem = kind.encode() if kind else None
    result = _libc.mount(source.encode(), target.encode(), filesystem, ctypes.c_ulong(flags), options.encode() or None)
    _checked(result, f"mount {target}")


def private_mounts() -> None:
    mount("none", "/", None, MS_REC | MS_PRIVATE)


def adopt_orphans() -> None:
    _checked(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl PR_SET_CHILD_SUBREAPER")


def end_with_parent() -> None:
    """For a process without a namespace. After the last change of its user; no program that it starts gains rights."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl PR_SET_PDEATHSIG")
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl PR_SET_NO_NEW_PRIVS")


def give_up_rights() -> None:
    """No capability, now; and none after an exec, since no file can give any (PR_SET_NO_NEW_PRIVS) and the user is not
    root in its own namespace.
    """
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl PR_SET_NO_NEW_PRIVS")
    _checked(_libc.capset(_CAPABILITIES, _NO_CAPABILITY), "capset")


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse_system_calls(program: bytes) -> None:
    """Loads a filter for this process and all that it starts. After `give_up_rights`."""
    filters = _Filter(len(program) // 8, program)
    _checked(_libc.prctl(_PR_SET_SECCOMP, 2, ctypes.byref(filters), 0, 0), "prctl PR_SET_SECCOMP")
