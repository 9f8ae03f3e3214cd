"""The program that compiles one Lean module, in a process of its own. It reads a job and writes what Lean writes.

Standard input: one line of JSON, {"library", "source", "path", "arguments", "seal", "files": [[name, bytes], ...]},
then the files' contents. Standard output: Lean's messages, one JSON object a line; then, if Lean came to its end, a
line with the seal, Lean's exit status and the size of the compiled module, and the module.
"""

import ctypes
import json
import os
import sys

job = json.loads(sys.stdin.buffer.readline())
for name, size in job["files"]:
    with open(name, "wb") as file:
        file.write(sys.stdin.buffer.read(size))
os.environ["LEAN_PATH"] = job["path"]
compiled = job["source"].removesuffix(".lean") + ".olean"
words = [word.encode() for word in ("lean", *job["arguments"], "--json", "-o", compiled, job["source"])]
os.dup2(1, 2)  # what Lean says when it ends itself
c_library = ctypes.CDLL(None)


@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p)
def finish(status: int, _: object) -> None:
    c_library.fflush(None)
    module = b""
    if os.path.exists(compiled):
        with open(compiled, "rb") as file:
            module = file.read()
    with os.fdopen(1, "wb", closefd=False) as out:
        out.write(f"\n{job['seal']} {status} {len(module)}\n".encode() + module)
    os._exit(0)  # without the ends of Lean's threads


c_library.on_exit(finish, None)  # Lean itself calls exit when it has compiled a file
finish(
    ctypes.CDLL(job["library"], mode=ctypes.RTLD_GLOBAL).lean_main(
        len(words), (ctypes.c_char_p * (len(words) + 1))(*words, None)
    ),
    None,
)
