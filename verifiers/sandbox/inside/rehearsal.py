"""What every child would do for the first time, done once before there are children.

Python prepares much on first use: the functions that ctypes looks up, byte code that adapts to what it sees, caches of
attributes. After a fork each child would prepare it again, and every page that this writes to is copied. Rehearsed, a
child is ready in a third of the time.
"""

from __future__ import annotations

import contextlib
import marshal
import resource
from _socket import socketpair

from verifiers.sandbox.inside import kernel, program
from verifiers.sandbox.inside.channel import receive, receive_order, send_order

_TIMES = 20
"""Byte code adapts within the first dozen runs."""
_NOWHERE = "/rehearsal/does/not/exist"
_SOURCE = "def f(x):\n    return [x, str(x)]\n"


def rehearse() -> None:
    """Nothing of it has an effect: mounts go nowhere, limits stay as they are, the program is three lines of ours."""
    caller, child = socketpair()
    settings = {"output_bytes": 1000}
    with contextlib.closing(caller), contextlib.closing(child):
        for number in range(_TIMES):
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            for step in (
                kernel.limit(resource.RLIMIT_NOFILE, soft, hard),
                kernel.mount(_NOWHERE, _NOWHERE, None, kernel.MS_BIND),
                kernel.write_file(_NOWHERE, "0"),
            ):
                with contextlib.suppress(OSError):
                    kernel.take([step])
            send_order(caller, {"source": _SOURCE})
            message, _ = receive_order(child, 1 << 16)
            names, code = program.module(message["source"])
            exec(code, names)
            call = {"call": number, "function": "f", "args": marshal.dumps(((number,), {}), 2)}
            child.sendall(program.answer_frame(call, names, settings))
            receive(caller, 1 << 16)


def hand_on_file_pages() -> int:
    """Makes a fork hand on what is mapped of the interpreter's file and its libraries, and says of how many mappings.

    Linux hands on the pages of a mapping only if one of them is the process's own; those of other files each child
    faults in again, a hundred and more. So one byte of each is written as it is. Where the kernel does not allow that,
    it stays as it was.
    """
    count = 0
    with (
        contextlib.suppress(OSError),
        open("/proc/self/maps", "rb") as maps,
        open("/proc/self/mem", "r+b", 0) as memory,
    ):
        for line in maps.read().splitlines():
            place, rights, _, _, inode, *_ = line.split()
            if inode != b"0" and rights.startswith(b"r-") and rights.endswith(b"p"):
                with contextlib.suppress(OSError):
                    memory.seek(int(place.partition(b"-")[0], 16))
                    byte = memory.read(1)
                    memory.seek(-1, 1)
                    count += memory.write(byte)
    return count
