"""Compiles one Lean module, in a process of its own: a fork of one that has loaded Lean. Reads a job and writes what
Lean writes.

Standard input: one line of JSON, then the contents of files. Standard output: Lean's messages, one JSON object a line;
then, if Lean came to its end, a line with the seal, Lean's exit status and the size of the compiled module, and the
module, where it is wanted. The job:

    source          the name of the file that is compiled; empty: Lean says its version
    path            LEAN_PATH
    is_on_top       the text has no imports, and stands on top of the module that was imported before the fork
    wants_module    whether the compiled module is wanted
    memory_mb, stack_kb, heartbeats    limits of Lean's own; heartbeats in thousands, 0 for none, not with `is_on_top`
    seal
    files           [[name, bytes], ...]
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import sys
from typing import IO, Any

from verifiers.lean.inside.library import LEAN, PRELOADED_MODULE

_c_library = ctypes.CDLL(None)
_job: dict[str, Any] = {}


def main() -> None:
    """Ends the process."""
    _job.update(_read(sys.stdin.buffer))
    os.environ["LEAN_PATH"] = _job["path"]
    os.dup2(1, 2)  # what Lean says when it ends itself
    _c_library.on_exit(_finish, None)  # Lean calls exit when it has compiled a file, and where its memory is at an end
    _finish(_on_top(_job) if _job["is_on_top"] else _alone(_job), None)


def _on_top(job: dict[str, Any]) -> int:
    assert PRELOADED_MODULE is not None
    with open(job["source"], "rb") as file:
        text = file.read()
    module = job["source"].removesuffix(".lean")
    output = _compiled(job) if job["wants_module"] else ""
    limits = {"memory_mb": job["memory_mb"], "stack_kb": job["stack_kb"]}
    with open(1, "wb", closefd=False) as out:
        try:
            return PRELOADED_MODULE.elaborate(text, module, output, lambda line: out.write(line + b"\n"), **limits)
        except OSError:  # Lean has said why; without an error among its messages this status is a crash
            return 1


def _alone(job: dict[str, Any]) -> int:
    if PRELOADED_MODULE is not None:
        PRELOADED_MODULE.free_import()
    return int(LEAN.lean_main(*_words(job), None))


def _read(stream: IO[bytes]) -> dict[str, Any]:
    """The job. Its files are written to the current folder. Raises OSError if one is not there as a whole."""
    job: dict[str, Any] = json.loads(stream.readline())
    for name, size in job["files"]:
        content = stream.read(size)
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        if len(content) != size or os.write(file, content) != size:
            raise OSError(f"no room for {name}")
        os.close(file)
    return job


def _words(job: dict[str, Any]) -> tuple[int, Any]:
    """How many, and the command."""
    words = ["lean", "-j", "1", "-s", str(job["stack_kb"]), "-M", str(job["memory_mb"])]
    words += ["-T", str(job["heartbeats"])] if job["heartbeats"] else []
    words += ["-o", _compiled(job)] if job["wants_module"] else []
    words += ["--json", job["source"]] if job["source"] else ["--version"]
    encoded = [word.encode() for word in words]
    return len(words), (ctypes.c_char_p * (len(words) + 1))(*encoded, None)


def _compiled(job: dict[str, Any]) -> str:
    return str(job["source"]).removesuffix(".lean") + ".olean"


@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p)
def _finish(status: int, _: object) -> None:
    _c_library.fflush(None)
    module = b""
    if _job["wants_module"] and os.path.exists(_compiled(_job)):
        with open(_compiled(_job), "rb") as file:
            module = file.read()
    with os.fdopen(1, "wb", closefd=False) as out:
        out.write(f"\n{_job['seal']} {status} {len(module)}\n".encode() + module)
    os._exit(0)  # without the ends of Lean's threads


def _rehearse() -> None:
    """What every child would do for the first time, as in `verifiers.sandbox.inside.rehearsal`."""
    job = {"source": "Nothing.lean", "wants_module": True, "files": []}
    job |= {"memory_mb": 1, "stack_kb": 1, "heartbeats": 1}
    for _ in range(20):
        _words(_read(io.BytesIO(json.dumps(job).encode() + b"\n")))


_rehearse()
