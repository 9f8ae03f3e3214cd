"""One attack, and what it must come to."""

from __future__ import annotations

from dataclasses import dataclass

from verifiers.sandbox import Ending

MARK = "reasonrl-sandbox-escape"
"""Part of the name of every file that an attack tries to leave behind."""

HELD = b"held\n"
TIME = frozenset({Ending.TIME_LIMIT, Ending.STALLED})
"""On a machine that is busy with other things a program that never ends is not ended for its own time."""


@dataclass(frozen=True)
class Attack:
    name: str
    program: str
    endings: frozenset[Ending] = frozenset({Ending.FINISHED})
    stdout: bytes | None = HELD
    """What it must write: `HELD` where it looks for itself whether it was held. None: anything."""
    then: str = ""
    """A program that runs after it in the same sandbox, as another sample, and must write `HELD`."""


def held(name: str, body: str) -> Attack:
    """Prints "held" if `body` raises OSError or NameError; what `harm` says otherwise."""
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return Attack(name, f"import ctypes, os, sys, socket\ntry:\n{lines}\nexcept OSError:\n    print('held')\n")


def system_call(name: str, number: int, *arguments: str) -> Attack:
    """A raw system call of x86-64 that must fail; 'held' if it does."""
    listed = ", ".join((f"ctypes.c_long({number})", *arguments))
    return Attack(
        name,
        "import ctypes, os, sys\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"result = libc.syscall({listed})\n"
        "print('held' if result == -1 else f'it returned {result}')\n",
    )
