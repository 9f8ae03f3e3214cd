"""The layer "bubblewrap": its own namespaces, no network, a read-only root with the interpreter alone, no environment.

As root the whole runs as an unprivileged user, since the kernel does not limit root's number of processes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from verifiers.sandbox.interpreter import ALONE, HASH_SEED, Interpreter
from verifiers.sandbox.runner import FOLDER, runner_files, with_bytecode
from verifiers.sandbox.types import SandboxUnavailable

NAME = "bubblewrap"
NOBODY = 65534
_EMPTY = "/empty"
"""A folder of the root, read-only as all of it, for what a program shall not see."""
INSTALL = "install it: apt-get install bubblewrap (Debian, Ubuntu), dnf install bubblewrap (Fedora); here: make sandbox"
_LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Guest:
    """What starts in the sandbox, where it is not the zygote of Python programs alone."""

    start: str = "from verifiers.sandbox.inside.zygote import main; main({channel})"
    """Python, with the place of the channel's number. The runner's files can be imported."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Further files by their paths in the sandbox, for everyone to read."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Folders of this machine by their paths in the sandbox, read-only. Not below /tmp, which is the program's own."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Symbolic links: path in the sandbox, and what stands in it."""


def layer_settings() -> dict[str, Any]:
    return {"namespaces": True, "seccomp": True, "uid": NOBODY, "gid": NOBODY, "runner": FOLDER, "empty": _EMPTY}


def launch(
    interpreter: Interpreter, channel: int, errors: IO[bytes], guest: Guest | None = None
) -> subprocess.Popen[bytes]:
    """Starts one zygote in bubblewrap, on the descriptor `channel`. Raises SandboxUnavailable."""
    program = shutil.which("bwrap")
    if program is None:
        raise SandboxUnavailable(f"bubblewrap is not installed; {INSTALL}")
    return start([program], interpreter, channel, errors, guest)


def start(
    program: list[str], interpreter: Interpreter, channel: int, errors: IO[bytes], guest: Guest | None = None
) -> subprocess.Popen[bytes]:
    """Starts a zygote with a program that takes bubblewrap's arguments."""
    guest = guest or Guest()
    files = {path: _in_memory(path, data) for path, data in _files_of(guest).items()}
    try:
        command = [*program, *_arguments(interpreter, files, channel, guest)]
        if os.getuid() == 0:
            folders = [str(folder) for folder in (*interpreter.prefixes, *guest.folders.values())]
            command = [sys.executable, "-I", "-S", str(_LAUNCH), str(NOBODY), *folders, "--", *command]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={"PATH": "/usr/bin:/bin"},
            pass_fds=(channel, *files.values()),
            start_new_session=True,
        )
    finally:
        for descriptor in files.values():
            os.close(descriptor)


def _files_of(guest: Guest) -> dict[str, bytes]:
    files = {**{path: text.encode() for path, text in runner_files().items()}, **guest.files}
    return {**files, **with_bytecode({path: data for path, data in files.items() if path.endswith(".py")})}


def _in_memory(path: str, data: bytes) -> int:
    descriptor = os.memfd_create(os.path.basename(path))
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _arguments(interpreter: Interpreter, files: dict[str, int], channel: int, guest: Guest) -> list[str]:
    arguments = [
        *("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
        *("--unshare-cgroup-try", "--new-session", "--clearenv", "--cap-drop", "ALL"),
        *("--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", "sandbox"),
        *("--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", "/tmp", "--setenv", "LANG", "C.UTF-8"),
        *("--setenv", *HASH_SEED),
        *("--ro-bind", "/usr", "/usr"),
    ]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        folder = Path("/", name)
        if folder.is_symlink():
            arguments += ["--symlink", os.readlink(folder), str(folder)]
        elif folder.is_dir():
            arguments += ["--ro-bind", str(folder), str(folder)]
    arguments += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    for prefix in interpreter.prefixes:
        arguments += ["--ro-bind", str(prefix), str(prefix)]
    for path, folder in guest.folders.items():
        arguments += ["--ro-bind", str(folder), path]
    arguments += ["--proc", "/proc", "--dir", _EMPTY, "--dev", "/dev", "--remount-ro", "/dev", "--tmpfs", "/tmp"]
    for path, descriptor in files.items():
        arguments += ["--perms", "0444", "--file", str(descriptor), path]
    for path, content in guest.links.items():
        arguments += ["--dir", os.path.dirname(path), "--symlink", content, path]
    begin = guest.start.replace("{channel}", str(channel))
    start = f"import sys; sys.path[:] = [{FOLDER!r}, *filter(None, sys.path)]; {begin}"
    return [*arguments, "--remount-ro", "/", "--chdir", "/tmp", str(interpreter.path), *ALONE, "-c", start]
