"""One for each sample: makes its namespaces ready, starts the program in them, watches it, and ends what it started.

It shares nothing with the program but the namespaces: as process 1 it cannot be killed from inside, it cannot be traced
or read, and the program never holds its channel.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from typing import Any, NoReturn

from verifiers.sandbox.inside import kernel, program
from verifiers.sandbox.inside.channel import ClosedChannel, receive, send
from verifiers.sandbox.inside.watch import LATE_S, Running, own_children_s

FOLDER = "/tmp"
_FRESH = kernel.CLONE_NEWUSER | kernel.CLONE_NEWPID | kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC
_QUIET_S = 0.1
"""So long a script runs before it is looked at: most have ended by then."""
_MESSAGE_BYTES = 1 << 16


def fork_supervisor(
    channel: socket.socket, control: int, settings: dict[str, Any], layer: dict[str, Any], filters: bytes | None
) -> int:
    """Starts a supervisor and returns its process id. Raises OSError if the kernel gives no namespaces."""
    process = kernel.fork_into(_FRESH) if layer["namespaces"] else os.fork()
    if process:
        return process
    channel.close()
    own = socket.socket(fileno=control)
    try:
        if layer["namespaces"]:
            kernel.map_own_ids(layer["uid"], layer["gid"])
        _supervise(own, settings, layer, filters)
    except OSError as error:
        send(own, {"failed": str(error)})
    finally:
        os._exit(72)


def _supervise(
    control: socket.socket, settings: dict[str, Any], layer: dict[str, Any], filters: bytes | None
) -> NoReturn:
    processes = None
    if layer["namespaces"]:
        kernel.private_mounts()
        processes = _hidden_processes()
        kernel.make_read_only("/dev")  # files there would outlive the sample
        fresh_folder(settings["disk_mb"], first=True)
    else:
        kernel.adopt_orphans()
    kernel.not_dumpable()
    running: Running | None = None
    while True:
        timeout = running.next_look() if running else None
        before = time.monotonic()
        waiting: list[Any] = [control, running.handle] if running else [control]
        ready, _, _ = select.select(waiting, [], [], timeout)
        if running and timeout is not None and not ready:
            running.late += max(0.0, time.monotonic() - before - timeout - LATE_S)
        if control in ready:
            try:
                message, descriptors = receive(control, _MESSAGE_BYTES, descriptors=3)
            except ClosedChannel:
                _end_all(running)
                os._exit(0)
            if "watch" in message:
                if running:
                    running.watch(on=message["watch"])
            elif "stop" in message:
                if running:
                    send(control, _finish(running, processes, message["stop"], layer, settings))
                    running = None
            else:
                running = _start(message, descriptors, settings, filters, processes)
            continue
        if running is None:
            continue
        ended = running.handle in ready
        reason = "" if ended else running.over_limit(settings)
        if ended or reason:
            send(control, _finish(running, processes, reason, layer, settings))
            running = None


def _hidden_processes() -> int | None:
    """A handle on /proc of this namespace that only the supervisor has: for the program there is no /proc."""
    handle = None
    with contextlib.suppress(OSError):  # a container that masks /proc: then the processes are not looked at
        kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
        handle = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    flags = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("tmpfs", "/proc", "tmpfs", flags, "size=4k,nr_inodes=2")
    kernel.mount("tmpfs", "/dev/shm", "tmpfs", flags & ~kernel.MS_RDONLY, "size=4m,nr_inodes=64")
    return handle


def fresh_folder(disk_mb: int, first: bool = False) -> None:
    """An empty working folder in memory."""
    os.chdir("/")
    if not first:
        kernel.detach(FOLDER)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("tmpfs", FOLDER, "tmpfs", flags, f"size={disk_mb}m,nr_inodes=4096,mode=0777")
    os.chdir(FOLDER)


def _start(
    message: dict[str, Any], descriptors: list[int], settings: dict[str, Any], filters: bytes | None, handle: int | None
) -> Running:
    kind = message["start"]
    data, *streams = descriptors
    stdin, stdout = streams if streams else (None, None)
    baseline = own_children_s()
    child = os.fork()
    if child == 0:
        program.start(kind, settings, data, stdin, stdout, filters)
    for descriptor in descriptors:
        os.close(descriptor)
    running = Running(child, os.pidfd_open(child), handle, baseline)
    if kind == "script":
        running.watch(_QUIET_S)
    return running


def _finish(
    running: Running, processes: int | None, reason: str, layer: dict[str, Any], settings: dict[str, Any]
) -> dict[str, Any]:
    """Ends everything and says how the program ended."""
    if reason:
        os.kill(running.process, signal.SIGKILL)
    _, status, usage = os.wait4(running.process, 0)
    wall = time.monotonic() - running.started
    os.close(running.handle)
    _end_all(None)
    if layer["namespaces"]:
        fresh_folder(settings["disk_mb"])
    return {
        "ended": os.waitstatus_to_exitcode(status),
        "reason": reason,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "wall_s": wall,
    }


def _end_all(running: Running | None) -> None:
    """Kills what is left of the sample, and waits for it. Outside a namespace of its own, only its own children."""
    if os.getpid() == 1:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
    else:
        if running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.process, signal.SIGKILL)
        for _ in range(100):
            children = _children_of_self()
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            if not children:
                break
            _reap(block=True)
        return
    _reap(block=True)


def _reap(block: bool) -> None:
    while True:
        try:
            process, _ = os.waitpid(-1, 0 if block else os.WNOHANG)
        except ChildProcessError:
            return
        if process == 0:
            return


def _children_of_self() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return [int(number) for number in file.read().split()]
