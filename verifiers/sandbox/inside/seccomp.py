"""Which system calls a program is refused, as a filter for the kernel. Linux on x86-64 and arm64.

Numbers are those of the kernel's own tables (x86-64, arm64); -1: this machine has no such call.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Sequence
from typing import NamedTuple

_NAMESPACES = 0x7E020000
"""Any flag of `clone` that asks for a new namespace."""

# Refused with EPERM, by what the call could do.
_REFUSED: dict[str, tuple[int, int]] = {
    # read or change another process
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    # wait longer than it must, so that the machine seems to be at fault; or slow down the supervisor
    "setpriority": (141, 140),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    # namespaces, mounts, roots
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # memory that no limit counts, and what outlives the process
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "vmsplice": (278, 75),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # what all users of the machine share a limited number of, or wait for
    "inotify_init": (253, -1),
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
    "io_setup": (206, 0),
    "sync": (162, 81),
    "syncfs": (306, 267),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    # a long history of holes, and nothing that a program for a task needs
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "modify_ldt": (154, -1),
    "personality": (135, 92),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "uselib": (134, -1),
    "lookup_dcookie": (212, 18),
    # the machine itself
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, -1),
    "ioperm": (173, -1),
    "syslog": (103, 116),
    "vhangup": (153, 58),
}


class _Argument(NamedTuple):
    """A call that is refused by its argument number `position`: for `values`; with `only`, for all but the one."""

    numbers: tuple[int, int]
    position: int
    values: tuple[int, ...]
    only: bool = False
    any_bit: bool = False
    code: int = errno.EPERM


_BY_ARGUMENT = (
    _Argument((56, 220), 0, (_NAMESPACES,), any_bit=True),  # clone
    _Argument((41, 198), 0, (1,), only=True, code=errno.EACCES),  # socket: AF_UNIX
    _Argument((53, 199), 0, (1,), only=True, code=errno.EACCES),  # socketpair
    # prlimit64 of another process: a limit of 0 s on the supervisor would end it, and so look like a broken sandbox.
    _Argument((302, 261), 0, (0,), only=True),
    # RLIMIT_CORE is 1, with which the kernel starts no handler for core dumps; at 0 it would.
    _Argument((302, 261), 1, (4,)),
    _Argument((160, 164), 0, (4,)),  # setrlimit
    _Argument((157, 167), 0, (62,)),  # prctl PR_SCHED_CORE: a processor's other half idles
    _Argument((72, 25), 1, (1024, 1026, 1031)),  # fcntl F_SETLEASE, F_NOTIFY: others wait; F_SETPIPE_SZ: shared
    _Argument((16, 29), 1, (0x5412, 0x541C)),  # ioctl TIOCSTI, TIOCLINUX: typing into a terminal
)

_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CLONE3 = 435
_X32_BIT = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _JUMP, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x05, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LEAF = 6
"""So many numbers are compared one after the other, where the search ends."""
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
"""Offsets in what the filter sees of a call."""
_Instruction = tuple[int, int, int, int]
"""Operation, instructions to skip where its test is true, where it is false, operand."""
_ALLOWED: _Instruction = (_RETURN, 0, 0, _ALLOW)
_EPERM: _Instruction = (_RETURN, 0, 0, _ERRNO | errno.EPERM)


def seccomp_program(machine: str | None = None) -> bytes:
    """The filter as instructions of classic BPF. Raises OSError (ENOSYS) for a machine that has no table here."""
    machine = machine or os.uname().machine
    if machine not in _ARCHITECTURE:
        raise OSError(errno.ENOSYS, f"there is no seccomp table for {machine}; this sandbox runs on x86_64 and aarch64")
    code = [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, _ARCHITECTURE[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":
        code += [(_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL)]
    code += _search(sorted(_bodies(list(_ARCHITECTURE).index(machine)).items()))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _bodies(column: int) -> dict[int, list[_Instruction]]:
    """What is done with each call that is not simply allowed, by its number. What gets to the end of it is allowed."""
    bodies = {numbers[column]: [_EPERM] for numbers in _REFUSED.values() if numbers[column] >= 0}
    # The flags of clone3 stand in memory, where a filter cannot read them; the C library then takes clone.
    bodies[_CLONE3] = [(_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    for argument in _BY_ARGUMENT:
        bodies.setdefault(argument.numbers[column], []).extend(_refusing(argument))
    return bodies


def _search(bodies: Sequence[tuple[int, list[_Instruction]]]) -> list[_Instruction]:
    """A binary search for the number. Each time that a filter is loaded, the kernel follows it once for every system
    call that there is: with one comparison after another, loading it would take twice as long.
    """
    if len(bodies) > _LEAF:
        middle = len(bodies) // 2
        below, above = _search(bodies[:middle]), _search(bodies[middle:])
        return [(_AT_LEAST, len(below), 0, bodies[middle][0]), *below, *above]
    plain = [number for number, body in bodies if body == [_EPERM]]
    code: list[_Instruction] = []
    for number, body in bodies:
        if number not in plain:
            code += [(_EQUAL, 0, len(body), number), *body]
    code += [(_EQUAL, len(plain) - place, 0, number) for place, number in enumerate(plain)]
    return [*code, _ALLOWED, _EPERM] if plain else [*code, _ALLOWED]


def _refusing(argument: _Argument) -> list[_Instruction]:
    test = _ANY_BIT if argument.any_bit else _EQUAL
    refuse = (_RETURN, 0, 0, _ERRNO | argument.code)
    body: list[_Instruction] = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument.position)]
    for value in argument.values:
        body += [(test, 0, 1, value), (_JUMP, 0, 0, 1) if argument.only else refuse]
    if argument.only:
        body.append(refuse)
    return [*body, (_LOAD, 0, 0, _NUMBER)]
