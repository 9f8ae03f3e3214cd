"""Starts the programs of a sample, each in fresh namespaces, watches them, and ends what they started.

It stays outside these namespaces: for the program there is no other process than those that it starts itself, and
nothing of the supervisor can be named, signalled or read. The program is process 1 of its namespace; when that ends,
the kernel ends all others.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import signal
import time
from _socket import socket
from typing import Any

from verifiers.sandbox.inside import kernel, program
from verifiers.sandbox.inside.channel import ClosedChannel, receive_order, send
from verifiers.sandbox.inside.folder import WorkingFolder
from verifiers.sandbox.inside.watch import LATE_S, Processes, Running, own_children_s

FOLDER = "/tmp"
_FRESH = kernel.CLONE_NEWUSER | kernel.CLONE_NEWPID | kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC
_QUIET_S = 0.1
"""So long a script runs before it is looked at: most have ended by then."""
_MESSAGE_BYTES = 1 << 16
_NOT_STARTED = 72


class Surroundings:
    """What all programs of this sandbox process have in common."""

    def __init__(
        self, layer: dict[str, Any], filters: bytes | None, processes: Processes, folder: WorkingFolder | None = None
    ) -> None:
        """`filters`: what seccomp refuses. `folder`: where programs run in a layer without namespaces."""
        self.processes, self.folder = processes, folder
        self._layer, self.filters = layer, filters
        self.has_begun = mmap.mmap(-1, 1)
        """A byte that is shared with the program, until that begins."""
        self._settings: dict[str, Any] = {}
        self._steps: tuple[list[kernel.Step], list[kernel.Step]] = [], []

    def steps(self, settings: dict[str, Any]) -> tuple[list[kernel.Step], list[kernel.Step]]:
        """What a child does, prepared: before it has the streams of its program, and after. Samples mostly have the
        same settings.
        """
        if settings != self._settings and not self.folder:
            self._steps = _furniture(settings, self._layer), program.restrictions_of(settings, self.filters)
            self._settings = settings
        return self._steps


def supervise(control: socket, order: dict[str, Any], descriptors: list[int], around: Surroundings) -> None:
    """Serves one sample until the other side of `control` is closed. Then nothing of it runs any more.

    `order` starts its first program, and has the settings of all.
    """
    settings = order["settings"]
    running: Running | None = _start(order["start"], descriptors, settings, around)
    while True:
        timeout = running.next_look() if running else None
        before = time.monotonic()
        waiting: list[Any] = [control, running.handle] if running else [control]
        ready, _, _ = select.select(waiting, [], [], timeout)
        if running and timeout is not None and not ready:
            running.late += max(0.0, time.monotonic() - before - timeout - LATE_S)
        if control in ready:
            try:
                message, descriptors = receive_order(control, _MESSAGE_BYTES, descriptors=3)
            except (ClosedChannel, OSError):
                if running:  # nobody waits for a report
                    os.kill(running.process, signal.SIGKILL)
                    os.waitpid(running.process, 0)
                    _clear(running, around)
                return
            if "watch" in message:
                if running:
                    running.watch(active=message["watch"])
            elif "stop" in message:
                if running:
                    _tell(control, _finish(running, message["stop"], around))
                    running = None
            else:
                running = _start(message["start"], descriptors, settings, around)
        elif running:
            ended = running.handle in ready
            reason = "" if ended else running.over_limit(settings)
            if ended or reason:
                _tell(control, _finish(running, reason, around))
                running = None


def _tell(control: socket, report: dict[str, Any]) -> None:
    """A caller that has what it wants may be gone when a program ends. That is no failure."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        send(control, report)


def _start(kind: str, descriptors: list[int], settings: dict[str, Any], around: Surroundings) -> Running:
    data, *others = descriptors
    stdin, stdout = others or (None, None)
    around.has_begun[0] = 0
    baseline = own_children_s()
    furniture, restrictions = around.steps(settings)
    if around.folder:
        around.folder.make()
    child = os.fork() if around.folder else kernel.fork_into(_FRESH)
    if child == 0:
        try:
            if around.folder:
                settings = around.folder.enter(settings)
                restrictions = program.restrictions_of(settings, around.filters)
            else:
                kernel.take(furniture)
            program.start(kind, settings, (data, stdin, stdout), restrictions, around.has_begun)
        except OSError as error:  # nothing of the program has run
            with contextlib.suppress(OSError):
                os.write(2, f"{error}\n".encode())
        finally:
            os._exit(_NOT_STARTED)
    for descriptor in descriptors:
        os.close(descriptor)
    running = Running(child, os.pidfd_open(child), around.processes, baseline)
    if kind == "script":
        running.watch(_QUIET_S)
    return running


def _furniture(settings: dict[str, Any], layer: dict[str, Any]) -> list[kernel.Step]:
    """Makes the fresh namespaces ready: an empty working folder in memory, and no /proc."""
    size = f"size={settings['disk_mb']}m,nr_inodes=4096,mode=0777"
    return [
        *kernel.map_own_ids(layer["uid"], layer["gid"]),
        kernel.write_file("/proc/self/oom_score_adj", "1000"),  # where the machine's memory runs out, it goes first
        kernel.private_mounts(),
        kernel.mount(layer["empty"], "/proc", None, kernel.MS_BIND),  # a third of the cost of a new file system
        kernel.mount("tmpfs", FOLDER, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, size),
        kernel.mount(FOLDER, "/dev/shm", None, kernel.MS_BIND),
        kernel.change_folder(FOLDER),
    ]


def _finish(running: Running, reason: str, around: Surroundings) -> dict[str, Any]:
    """Ends everything and says how the program ended."""
    if reason:
        os.kill(running.process, signal.SIGKILL)
    _, status, usage = os.wait4(running.process, 0)  # process 1 of a namespace is reaped when all others are gone
    wall = time.monotonic() - running.started
    _clear(running, around)
    return {
        "ended": os.waitstatus_to_exitcode(status),
        "has_begun": bool(around.has_begun[0]),
        "reason": reason,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "wall_s": wall,
    }


def _clear(running: Running, around: Surroundings) -> None:
    """After the program has ended."""
    os.close(running.handle)
    if around.folder:
        around.folder.clear()
