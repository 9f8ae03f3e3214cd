"""The child's side of `verifiers.pool.pool`: run as a script in a fresh interpreter, one process per worker.

It imports nothing but the standard library until the first message has told it where to look, so it never runs the
parent's `__main__` and never copies the parent's memory. Requests are pickled (the parent is trusted); answers are
JSON, because a process that reads untrusted text must not be able to make the parent unpickle something.

A frame is a number (8 bytes), a length (4 bytes) and a body. Number 0 is the start-up; the items count from 1.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pickle
import signal
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

HEADER = struct.Struct("!QI")
MAX_ERROR_CHARS = 2000
PR_SET_PDEATHSIG = 1


def read_exactly(fd: int, size: int) -> bytes:
    """Reads `size` bytes. Raises EOFError when the other side has gone."""
    chunks = []
    while size:
        chunk = os.read(fd, min(size, 1 << 20))
        if not chunk:
            raise EOFError
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


def read_frame(fd: int) -> tuple[int, bytes]:
    number, size = HEADER.unpack(read_exactly(fd, HEADER.size))
    return number, read_exactly(fd, size)


def write_frame(fd: int, number: int, body: bytes) -> None:
    view = memoryview(HEADER.pack(number, len(body)) + body)
    while view:
        view = view[os.write(fd, view) :]


def die_with_parent(parent: int) -> None:
    """Asks the kernel for SIGKILL when the parent's managing thread ends. A busy worker would not read the EOF in
    time.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it was gone before the request reached the kernel
        os._exit(0)


def limit_resources(memory_limit_mb: int | None) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_limit_mb is None:
        return
    limit = memory_limit_mb << 20
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    # macOS refuses address-space limits; there the deadline must suffice.
    with contextlib.suppress(*(() if sys.platform == "linux" else (ValueError, OSError))):
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def address_space_bytes() -> int:
    """The size that RLIMIT_AS bounds; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def load(target: str) -> Callable[..., Any]:
    """The function that "module:function" names."""
    module, _, name = target.partition(":")
    value: Any = importlib.import_module(module)
    for part in name.split("."):
        value = getattr(value, part)
    return value


def describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARS]


def describe_start(error: BaseException) -> str:
    """What kept a worker from starting, on one line, with the innermost place outside of the standard library."""
    words = " ".join(describe(error).split())
    library = os.path.dirname(os.path.abspath(contextlib.__file__)) + os.sep
    place = ""
    trace = error.__traceback__
    while trace is not None:
        file = os.path.abspath(trace.tb_frame.f_code.co_filename)
        installed = "site-packages" in file or "dist-packages" in file
        if os.path.exists(file) and file != os.path.abspath(__file__) and (installed or not file.startswith(library)):
            place = f" ({file}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return words + place


def answer(function: Callable[[Any], Any], request: bytes, max_answer_bytes: int) -> tuple[bytes, bool]:
    """Runs one item. Returns the body to send and whether memory ran out on the way."""
    started = time.perf_counter()
    out_of_memory = False
    value, error = None, ""
    try:
        value = function(pickle.loads(request))
        text = json.dumps(value).encode()
        if len(text) > max_answer_bytes:
            value, error = (
                None,
                f"ValueError: the answer has {len(text)} bytes, more than the {max_answer_bytes} allowed",
            )
    except (
        BaseException
    ) as caught:  # SystemExit and math-verify's TimeoutException are no Exceptions, and are errors of the item too
        out_of_memory = isinstance(caught, MemoryError)
        value, error = None, describe(caught)
    return json.dumps([value, error, time.perf_counter() - started]).encode(), out_of_memory


def start(config: dict[str, Any]) -> Callable[[Any], Any]:
    """Limits, imports and initializer: everything that is paid once."""
    sys.path[:] = config["path"]
    limit_resources(config["memory_limit_mb"])
    if config["initializer"]:
        load(config["initializer"])(*pickle.loads(config["initargs"]))  # nested: its classes need the path above
    return load(config["target"])


def main(fd: int) -> None:
    os.set_inheritable(fd, False)
    _, body = read_frame(fd)
    config = pickle.loads(body)
    die_with_parent(config["parent"])
    try:
        function = start(config)
    except BaseException as error:  # whatever it was, the parent has to hear of it: nothing can run
        write_frame(fd, 0, json.dumps({"failed": describe_start(error)}).encode())
        return
    write_frame(fd, 0, b'{"failed": ""}')

    # A worker whose heap has grown is replaced between items: no item may run out of memory for what an earlier one has
    # left behind.
    limit = (config["memory_limit_mb"] or 0) << 20
    base = address_space_bytes()
    allowed = base + (limit - base) // 2 if limit else 0
    left = config["recycle_after_items"]
    while True:
        number, request = read_frame(fd)
        body, out_of_memory = answer(function, request, config["max_answer_bytes"])
        left -= 1
        retire = out_of_memory or left <= 0 or (allowed and address_space_bytes() > allowed)
        write_frame(fd, number, (b"!" if retire else b" ") + body)
        if retire:
            os._exit(0)


if __name__ == "__main__":
    with contextlib.suppress(EOFError, ConnectionError):
        main(int(sys.argv[1]))
    os._exit(0)
