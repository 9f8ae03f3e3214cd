"""Settings of the process that torch is fast with on CPUs. They change no number of a run, and what the user has set
stays.
"""

from __future__ import annotations

import os
import sys
from typing import IO

SPINS = 10_000
"""A thread of torch looks so many times for its next piece of work before it sleeps: some tenths of a millisecond. To
wake it costs 0.1 ms, and a token takes hundreds of pieces. It is long enough for most pauses between pieces, and short
enough to leave a core to another program: see docs/engines.md for what more and fewer cost.
"""
PATIENT = {"OMP_WAIT_POLICY": "passive", "REASONRL_SET_WAIT_POLICY": "1"}
"""The second tells a child of this process that the first is not the user's word."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_BYTES = 32 << 20
_STAYS_BYTES = 1 << 30

_waits_by_default = False
_claim: IO[bytes] | None = None
"""Held for as long as the process lives."""


def wait_patiently() -> None:
    """Threads that wait leave the cores to others, where the user has not said what they shall do."""
    global _waits_by_default
    inherited = PATIENT.items() <= os.environ.items() and "GOMP_SPINCOUNT" not in os.environ
    if inherited or not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ.update(PATIENT)
        _waits_by_default = True


def tune_for_computing() -> None:
    """For a process that will compute for long. Call this before torch is imported: its threads are set up then.

    Threads that wait spin, in one process of this user at a time: two that spin on the same cores would be ten times
    slower. Memory that torch gives back stays with the process, up to 1 GiB, and serves the next tensor: new pages,
    which the kernel has to clear, took half of the time in which a token is drawn. The weights that the engine lays out
    at each update, and the activations of a micro-batch, are more than a quarter of that.
    """
    if _waits_by_default and "torch" not in sys.modules and _claim_cores():
        for name in PATIENT:
            os.environ.pop(name, None)
        os.environ["GOMP_SPINCOUNT"] = str(SPINS)
    import ctypes
    import platform

    chosen = any(name.startswith("MALLOC_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ
    if platform.libc_ver()[0] == "glibc" and not chosen:
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _STAYS_BYTES)


def _claim_cores() -> bool:
    """Whether no other process of this user has claimed them. The kernel ends the claim with the process."""
    global _claim
    import fcntl

    from reasonrl.host.homes import temporary_folder

    folder = temporary_folder("cores")
    if folder is None:
        return False
    try:
        _claim = open(folder / "spinning", "wb")  # noqa: SIM115
        fcntl.lockf(_claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
