"""A command of a real Lean in bubblewrap: no network, no other process, the file system read-only, and limits."""

from __future__ import annotations

import contextlib
import math
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from verifiers.lean.types import LeanLimits, LeanUnavailable, PartEnd
from verifiers.sandbox.bubblewrap import INSTALL, NOBODY

_SHELL = 'ulimit -t "$(($1 + 1))" && ulimit -S -t "$1" && ulimit -v "$2" && ulimit -c 0 && shift 2 && exec "$@"'
_LIBRARIES = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache")


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of a command."""

    end: PartEnd
    """DONE, whatever its exit status; or the limit that ended it."""
    status: int
    output: bytes
    reason: str
    seconds: float


@contextlib.contextmanager
def sandboxed(
    command: Sequence[str],
    *,
    readable: Sequence[Path],
    writable: Path,
    environment: dict[str, str],
    cpu_s: float,
    memory_mb: int,
    stdin: int = subprocess.DEVNULL,
) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a command; when the block is left, it and all that it started are dead. Raises LeanUnavailable.

    Args:
        readable: folders that it sees, each under its own path.
        writable: its working folder.
        cpu_s, memory_mb: of each of its processes.
    """
    program = shutil.which("bwrap")
    if program is None:
        raise LeanUnavailable(f"bubblewrap is not installed; {INSTALL}")
    words = [program, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    if os.getuid() != 0:  # root's files would be out of reach for another user
        words += ["--uid", str(NOBODY), "--gid", str(NOBODY)]
    for path in _LIBRARIES:
        if os.path.islink(path):
            words += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            words += ["--ro-bind", path, path]
    words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for folder in dict.fromkeys(readable):
        words += ["--ro-bind", str(folder), str(folder)]
    words += ["--bind", str(writable), str(writable), "--chdir", str(writable)]
    for name, value in ({"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8"} | environment).items():
        words += ["--setenv", name, value]
    limits = [str(math.ceil(cpu_s)), str(memory_mb << 10)]
    process = subprocess.Popen(
        [*words, "/bin/sh", "-c", _SHELL, "sh", *limits, *command],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # bubblewrap's end is that of its namespace
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def run_command(
    command: Sequence[str],
    limits: LeanLimits,
    *,
    readable: Sequence[Path],
    writable: Path,
    environment: dict[str, str],
    memory_mb: int,
) -> Finished:
    """Runs a command to its end, and reads what it writes up to the limit."""
    started = time.monotonic()
    output = bytearray()
    with sandboxed(
        command,
        readable=readable,
        writable=writable,
        environment=environment,
        cpu_s=limits.cpu_s,
        memory_mb=memory_mb,
    ) as process:
        assert process.stdout is not None
        stream = process.stdout.fileno()
        while True:
            left = limits.wall_s - (time.monotonic() - started)
            if left <= 0:
                reason = f"no end after {limits.wall_s:g} s of wall clock"
                return Finished(PartEnd.STALLED, -1, bytes(output), reason, time.monotonic() - started)
            if not select.select([stream], [], [], left)[0]:
                continue
            data = os.read(stream, min(1 << 16, limits.output_bytes + 1 - len(output)))
            if not data:
                break
            output += data
            if len(output) > limits.output_bytes:
                reason = f"more than {limits.output_bytes} bytes of output"
                return Finished(PartEnd.OUTPUT, -1, bytes(output), reason, time.monotonic() - started)
        status = process.wait()
    seconds = time.monotonic() - started
    killed = status - 128 if status > 128 else -status if status < 0 else 0
    if killed == signal.SIGXCPU:
        reason = f"more than {limits.cpu_s:g} s of processor time"
        return Finished(PartEnd.CPU_TIME, status, bytes(output), reason, seconds)
    if killed:
        is_memory = b"out of memory" in output or b"failed to create thread" in output
        end = PartEnd.MEMORY if is_memory else PartEnd.CRASHED
        return Finished(end, status, bytes(output), f"killed by signal {killed}", seconds)
    return Finished(PartEnd.DONE, status, bytes(output), "", seconds)
