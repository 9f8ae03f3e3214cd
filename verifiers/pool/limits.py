"""What the machine may lack for one more worker process: files, processes, memory."""

from __future__ import annotations

import errno
import resource


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
