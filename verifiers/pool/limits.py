"""The limits of a pool: which numbers make sense, and what the machine may lack for one more worker process."""

from __future__ import annotations

import errno
import numbers
import resource
from typing import Any

LONGEST_S = 1_000_000
"""A wait of the operating system is counted in milliseconds, in 32 bits."""
SHORTEST_S = 0.001
MOST = 2**31 - 1


def check_seconds(name: str, value: Any) -> None:
    """Raises ValueError, which begins with `name`, for what is not a number from SHORTEST_S to LONGEST_S."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not SHORTEST_S <= value <= LONGEST_S:
        raise ValueError(
            f"{name} is {value!r}; write a number of seconds above 0, from {SHORTEST_S} to {LONGEST_S:,}{_hint(value)}"
        )


def check_count(name: str, value: Any, *, least: int = 1) -> None:
    """The same for a whole number from `least` on."""
    number = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not number or not least <= value <= MOST:
        raise ValueError(f"{name} is {value!r}; write a whole number from {least} to {MOST:,}{_hint(value)}")


def _hint(value: Any) -> str:
    """A text that reads as a number: YAML takes 1e-3 for a text, and 1.0e-3 for a number."""
    try:
        number = float(value) if isinstance(value, str) else None
    except ValueError:
        return ""
    return (
        "" if number is None else " (this is a text: in YAML a number has no quotes, and a point before its e: 1.0e-3)"
    )


def start_failure(error: BaseException) -> str | None:
    """What the machine lacks for a worker process, and what to do; None for an error that does not say."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EMFILE:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return (
            f"a worker process cannot be started: too many files are open for the limit of {limit}. Raise it"
            " (ulimit -n 4096), or use fewer workers"
        )
    if number == errno.ENFILE:
        return "a worker process cannot be started: too many files are open on this machine. Close some programs"
    if number == errno.EAGAIN or (isinstance(error, RuntimeError) and "start new thread" in str(error)):
        limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        shown = "" if limit == resource.RLIM_INFINITY else f" (the limit is {limit})"
        return (
            f"a worker process cannot be started: this user may start no more processes{shown}. End some, raise the"
            " limit (ulimit -u), or use fewer workers"
        )
    if number == errno.ENOMEM or isinstance(error, MemoryError):
        return "a worker process cannot be started: the memory is full. Close some programs, or use fewer workers"
    return None
