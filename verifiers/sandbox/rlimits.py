"""The layer "rlimits": resource limits and a folder, and nothing else. Only for who names it.

For machines without user namespaces, and programs that are trusted not to be malicious. The program has no environment
variables of the caller's, a working folder that is emptied after it, and limits on processor time, address space,
processes, file size and open files; its processes are looked for and ended. As root it runs as another user.

What it cannot do: a program reads every file that its user can read, and writes wherever that user can; it reaches the
network, and other processes of its user. Where the caller is not root, that is the caller's own user: a program may
read the expected answers from the caller's memory or end the caller. The total size of its files is not limited, and
a process that ends the supervisor may stay.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import IO, Any

from verifiers.sandbox.inside.folder import remove_tree
from verifiers.sandbox.interpreter import ALONE, HASH_SEED, Interpreter
from verifiers.sandbox.runner import FOLDER, runner_files

NAME = "rlimits"
_LAUNCH = Path(__file__).with_name("launch.py")
_WARNING = (
    "isolation: rlimits only limits resources. A program of the model can read and write the files of its user, reach"
    " the network and, unless this process runs as root, other processes of this user, this one included"
)


def layer_settings() -> dict[str, Any]:
    return {"namespaces": False, "seccomp": False, "runner": ""}


@functools.cache
def warn_once() -> None:
    warnings.warn(_WARNING, stacklevel=3)


class FolderProcess:
    """A zygote with its folder, which goes with it."""

    def __init__(self, process: subprocess.Popen[bytes], folder: str) -> None:
        self._process, self._folder = process, folder
        self.pid = process.pid

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        status = self._process.wait(timeout)
        if status != 0:  # it could not end what it had started
            _end_processes_of(self._folder)
        with contextlib.suppress(OSError):  # a process that hides still writes there
            remove_tree(self._folder)
        return status


def launch(interpreter: Interpreter, channel: int, errors: IO[bytes]) -> FolderProcess:
    """Starts one zygote on the descriptor `channel`, in a temporary folder."""
    folder = tempfile.mkdtemp(prefix="reasonrl-programs-")
    try:
        os.chmod(folder, 0o711)
        for path, text in runner_files().items():
            place = Path(folder + path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        start = (
            f"import sys; sys.path[:] = [{folder + FOLDER!r}, *filter(None, sys.path)];"
            f" from verifiers.sandbox.inside.zygote import main; del sys.path[0]; main({channel})"
        )
        command = [str(interpreter.path), *ALONE, "-c", start]
        if os.getuid() == 0:
            hidden = [str(prefix) for prefix in interpreter.prefixes]
            command = [sys.executable, "-I", "-S", str(_LAUNCH), "0", *hidden, "--", *command]
        work = os.path.join(folder, "work")
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "HOME": work, "TMPDIR": work, "LANG": "C.UTF-8", HASH_SEED[0]: HASH_SEED[1]},
            pass_fds=(channel,),
            start_new_session=True,
        )
    except OSError:
        remove_tree(folder)
        raise
    return FolderProcess(process, folder)


def _end_processes_of(folder: str) -> None:
    """Processes that still have the folder in their environment. A program that hides from this stays."""
    mark = f"TMPDIR={folder}".encode()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):  # it has ended, or is another user's
                if mark in Path("/proc", name, "environ").read_bytes():
                    os.kill(int(name), signal.SIGKILL)
