"""Waits for samples with a warm interpreter, and forks one supervisor for each.

Lives in the namespaces that the isolation layer made: no network, a read-only root, no environment, no right.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import sys
from typing import Any

from verifiers.sandbox.inside import seccomp, supervisor
from verifiers.sandbox.inside.channel import ClosedChannel, receive, send

WARM = (
    "abc",
    "array",
    "ast",
    "atexit",
    "base64",
    "bisect",
    "builtins",
    "calendar",
    "cmath",
    "collections.abc",
    "contextlib",
    "copy",
    "copyreg",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "heapq",
    "inspect",
    "io",
    "itertools",
    "json",
    "linecache",
    "locale",
    "math",
    "numbers",
    "operator",
    "os.path",
    "pprint",
    "queue",
    "random",
    "re",
    "sched",
    "statistics",
    "string",
    "struct",
    "textwrap",
    "threading",
    "time",
    "token",
    "tokenize",
    "traceback",
    "types",
    "typing",
    "unicodedata",
    "uuid",
    "weakref",
    "zlib",
)
"""Modules that programs import often, so that a program's own import of them is a look-up."""
_REQUEST_BYTES = 1 << 16


def main(descriptor: int) -> None:
    """Serves until the other side of the channel is closed. The first message names the layer."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    channel = socket.socket(fileno=descriptor)
    layer, _ = receive(channel, _REQUEST_BYTES)
    for name in WARM:
        importlib.import_module(name)
    filters = seccomp.seccomp_program() if layer["seccomp"] else None
    sys.path[:] = [entry for entry in sys.path if entry != layer["runner"]]
    gc.collect()
    gc.freeze()
    send(channel, {"ready": sys.version.split()[0]})
    while True:
        try:
            message, descriptors = receive(channel, _REQUEST_BYTES, descriptors=1)
        except (ClosedChannel, OSError):
            os._exit(0)
        send(channel, _sample(channel, message, descriptors[0], layer, filters))


def _sample(
    channel: socket.socket, settings: dict[str, Any], control: int, layer: dict[str, Any], filters: bytes | None
) -> dict[str, Any]:
    try:
        process = supervisor.fork_supervisor(channel, control, settings, layer, filters)
    except OSError as error:
        send(socket.socket(fileno=control), {"failed": str(error)})
        return {"ended": None}
    os.close(control)
    _, status = os.waitpid(process, 0)
    return {"ended": os.waitstatus_to_exitcode(status)}
