"""System calls that Python does not offer: namespaces, mounts, capabilities, seccomp. Linux on x86-64 and arm64.

Every function raises OSError if the kernel refuses: nothing is skipped in silence.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import struct

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
_ANY_NAMESPACE = (
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE, MS_BIND, MS_REMOUNT = (
    1,
    2,
    4,
    8,
    1 << 14,
    1 << 18,
    1 << 12,
    1 << 5,
)
_MS_NOATIME = 1 << 10
_MNT_DETACH = 2
_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 4, 22, 24, 38
_PR_SET_CHILD_SUBREAPER = 36
_LAST_CAPABILITY = 40

_CLONE = {"x86_64": 56, "aarch64": 220}

_libc = ctypes.CDLL(None, use_errno=True)
_held = ctypes.PyDLL(None, use_errno=True)
"""Calls that keep the interpreter's lock: the child of a fork has no thread to give it back."""


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
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    filesystem = kind.encode() if kind else None
    result = _libc.mount(source.encode(), target.encode(), filesystem, ctypes.c_ulong(flags), options.encode() or None)
    _checked(result, f"mount {target}")


def detach(target: str) -> None:
    _checked(_libc.umount2(target.encode(), _MNT_DETACH), f"umount {target}")


def make_read_only(target: str) -> None:
    """A mount that is there already, in this mount namespace alone; its other flags stay."""
    has = os.statvfs(target).f_flag
    other = {os.ST_NOSUID: MS_NOSUID, os.ST_NODEV: MS_NODEV, os.ST_NOEXEC: MS_NOEXEC, os.ST_NOATIME: _MS_NOATIME}
    flags = sum(flag for seen, flag in other.items() if has & seen)
    mount("none", target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | flags)


def private_mounts() -> None:
    mount("none", "/", None, MS_REC | MS_PRIVATE)


def not_dumpable() -> None:
    """No other process of this user may read this one's memory or descriptors, or trace it."""
    _checked(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl PR_SET_DUMPABLE")


def adopt_orphans() -> None:
    _checked(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl PR_SET_CHILD_SUBREAPER")


def give_up_rights() -> None:
    """No capability, now or after any exec."""
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl PR_SET_NO_NEW_PRIVS")
    for capability in range(_LAST_CAPABILITY + 1):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 and ctypes.get_errno() not in (
            errno.EPERM,  # without CAP_SETPCAP there is nothing to give up
            errno.EINVAL,  # a capability that this kernel does not have
        ):
            _checked(-1, "prctl PR_CAPBSET_DROP")
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    _checked(_libc.capset(header, ctypes.create_string_buffer(24)), "capset")


# Refused with EPERM. Each reaches out of the process or has a long history of holes in the kernel.
_REFUSED = {
    "x86_64": (
        "ptrace 101, process_vm_readv 310, process_vm_writev 311, kcmp 312, pidfd_getfd 438, unshare 272, setns 308,"
        " mount 165, umount2 166, pivot_root 155, chroot 161, open_tree 428, move_mount 429, fsopen 430, fsconfig 431,"
        " fsmount 432, fspick 433, mount_setattr 442, add_key 248, request_key 249, keyctl 250, bpf 321,"
        " perf_event_open 298, userfaultfd 323, io_uring_setup 425, io_uring_enter 426, io_uring_register 427,"
        " kexec_load 246, kexec_file_load 320, init_module 175, finit_module 313, delete_module 176, reboot 169,"
        " swapon 167, swapoff 168, quotactl 179, acct 163, name_to_handle_at 303, open_by_handle_at 304,"
        " settimeofday 164, clock_settime 227, adjtimex 159, clock_adjtime 305, sethostname 170, setdomainname 171,"
        " iopl 172, ioperm 173, syslog 103, vhangup 153, personality 135, modify_ldt 154, move_pages 279,"
        " migrate_pages 256, fanotify_init 300"
    ),
    "aarch64": (
        "ptrace 117, process_vm_readv 270, process_vm_writev 271, kcmp 272, pidfd_getfd 438, unshare 97, setns 268,"
        " mount 40, umount2 39, pivot_root 41, chroot 51, open_tree 428, move_mount 429, fsopen 430, fsconfig 431,"
        " fsmount 432, fspick 433, mount_setattr 442, add_key 217, request_key 218, keyctl 219, bpf 280,"
        " perf_event_open 241, userfaultfd 282, io_uring_setup 425, io_uring_enter 426, io_uring_register 427,"
        " kexec_load 104, kexec_file_load 294, init_module 105, finit_module 273, delete_module 106, reboot 142,"
        " swapon 224, swapoff 225, quotactl 60, acct 89, name_to_handle_at 264, open_by_handle_at 265,"
        " settimeofday 170, clock_settime 112, adjtimex 171, clock_adjtime 266, sethostname 161, setdomainname 162,"
        " syslog 116, vhangup 58, personality 92, move_pages 239, migrate_pages 238, fanotify_init 262"
    ),
}
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SOCKET = {"x86_64": 41, "aarch64": 198}
_CLONE3 = 435
_AF_UNIX = 1
_X32_BIT = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000


def seccomp_program(machine: str | None = None) -> bytes:
    """The filter as instructions of classic BPF. Raises OSError (ENOSYS) for a machine that has no table here."""
    machine = machine or platform.machine()
    if machine not in _REFUSED:
        raise OSError(errno.ENOSYS, f"there is no seccomp table for {machine}; this sandbox runs on x86_64 and aarch64")
    refused = [int(entry.split()[1]) for entry in _REFUSED[machine].split(",")]
    code: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, 4),  # the architecture
        (_EQUAL, 1, 0, _ARCHITECTURE[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),  # the number of the call
    ]
    if machine == "x86_64":
        code += [(_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL)]
    for number in refused:
        code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    # The flags of clone3 stand in memory, where a filter cannot read them; the C library then takes clone.
    code += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    first_argument = (_LOAD, 0, 0, 16)
    code += [
        (_EQUAL, 0, 3, _CLONE[machine]),
        first_argument,
        (_ANY_BIT, 0, 1, _ANY_NAMESPACE),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_LOAD, 0, 0, 0),
        (_EQUAL, 0, 3, _SOCKET[machine]),
        first_argument,
        (_EQUAL, 1, 0, _AF_UNIX),
        (_RETURN, 0, 0, _ERRNO | errno.EACCES),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def refuse_system_calls(program: bytes) -> None:
    """Loads a filter for this process and all that it starts. After `give_up_rights`."""
    buffer = ctypes.create_string_buffer(program, len(program))
    filters = _Filter(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    _checked(_libc.prctl(_PR_SET_SECCOMP, 2, ctypes.byref(filters), 0, 0), "prctl PR_SET_SECCOMP")
