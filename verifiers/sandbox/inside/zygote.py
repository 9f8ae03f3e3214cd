"""Waits for samples with a warm interpreter, and supervises one after the other.

Lives in the namespaces that the isolation layer made: no network, a read-only root, no environment, no right.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import sys
from _socket import socket

from verifiers.sandbox.inside import seccomp, supervisor
from verifiers.sandbox.inside.channel import ClosedChannel, frame_of, receive_order, send
from verifiers.sandbox.inside.folder import Descendants, WorkingFolder, remove_tree
from verifiers.sandbox.inside.large_pages import interpreter_files, take_large_pages
from verifiers.sandbox.inside.rehearsal import hand_on_file_pages, rehearse
from verifiers.sandbox.inside.watch import Processes

WARM: tuple[str, ...] = (
    "bisect",
    "collections.abc",
    "copy",
    "functools",
    "heapq",
    "itertools",
    "json",
    "math",
    "operator",
    "re",
    "string",
    "typing",
)
"""Modules that programs import often, so that a program's own import of them is a look-up. Few: what this process holds
is copied for each program.
"""
_REQUEST_BYTES = 1 << 16
_ENDED = frame_of({"ended": True})


def main(descriptor: int) -> None:
    """Serves until the other side of the channel is closed. The first message names the layer."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ.pop("PYTHONHASHSEED", None)  # it has done its part when the interpreter started
    channel = socket(fileno=_alone(descriptor))
    layer, _ = receive_order(channel, _REQUEST_BYTES)
    for name in WARM:
        importlib.import_module(name)
    filters = seccomp.seccomp_program() if layer["seccomp"] else None
    sys.path[:] = [entry for entry in sys.path if entry != layer["runner"]]
    if layer["namespaces"]:
        around = supervisor.Surroundings(layer, filters, Processes())
    else:
        processes = Descendants()
        around = supervisor.Surroundings(layer, filters, processes, WorkingFolder(processes))
    for file in interpreter_files():
        take_large_pages(file)
    rehearse()
    hand_on_file_pages()
    gc.collect()
    gc.freeze()
    send(channel, {"ready": sys.version.split()[0]})
    while True:
        try:
            order, descriptors = receive_order(channel, _REQUEST_BYTES, descriptors=4)
        except (ClosedChannel, OSError):
            if around.folder:
                remove_tree(os.getcwd())
            os._exit(0)
        control = socket(fileno=descriptors[0])
        try:
            supervisor.supervise(control, order, descriptors[1:], around)
        except OSError as error:
            with contextlib.suppress(OSError):  # the caller is gone
                send(control, {"failed": str(error)})
                send(channel, {"ended": False})
            os._exit(1)  # what still runs ends with this namespace
        control.close()
        try:
            channel.sendall(_ENDED)
        except OSError:  # the caller is gone, as the next look will say
            continue


def _alone(descriptor: int) -> int:
    """The channel under a low number, with no other open beside the standard streams. A caller that holds many files
    hands over a high one, beyond what a program's process closes.
    """
    low = os.dup2(descriptor, 3)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > low:
            with contextlib.suppress(OSError):  # that of the listing itself
                os.close(int(name))
    return low
