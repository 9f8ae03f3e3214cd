"""Which Python runs the programs, and the folders that it needs."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from verifiers.sandbox.types import SandboxUnavailable

_ASK = "import json, sys; print(json.dumps([sys.executable, sys.prefix, sys.base_prefix, list(sys.version_info[:2])]))"
_FIND = "import sys, json, importlib.util as u; print(json.dumps([n for n in sys.argv[1:] if u.find_spec(n) is None]))"
_OLDEST = [3, 9]

WORKING_FOLDER = "/tmp"
ALONE = ("-s", "-B")
"""The interpreter takes nothing from the folder of a user. The environment counts, unlike with -I: it is ours alone."""
HASH_SEED = ("PYTHONHASHSEED", "0")
"""The order of a set of strings is the same in every process: a program prints the same today and tomorrow."""


@dataclass(frozen=True)
class Interpreter:
    path: Path
    prefixes: tuple[Path, ...]
    """Folders outside /usr that it needs, each under its own path in the sandbox."""


@functools.cache
def find_interpreter(python: str = "") -> Interpreter:
    """The Python that judges programs.

    The one that is named (a virtual environment brings its packages along); else the system's own of the caller's
    version, which needs nothing outside /usr; else the one beneath the caller's environment.

    Raises SandboxUnavailable: it does not start, is too old, or lies where the sandbox has its own folder.
    """
    system = "/usr/bin/python{}.{}".format(*sys.version_info)
    path = python or (system if os.path.exists(system) else getattr(sys, "_base_executable", "") or sys.executable)
    try:
        answer = subprocess.run([path, "-I", "-c", _ASK], capture_output=True, text=True, check=True, timeout=60)
        executable, *prefixes, version = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise SandboxUnavailable(f"the Python for programs, {path!r}, does not start: {error}") from error
    if version < _OLDEST:
        raise SandboxUnavailable(f"the Python for programs, {path!r}, is {version[0]}.{version[1]}; take 3.9 or newer")
    folders = dict.fromkeys(path for prefix in prefixes for path in (Path(prefix), Path(os.path.realpath(prefix))))
    outside = [folder for folder in folders if not folder.is_relative_to("/usr")]
    if covered := [folder for folder in outside if folder.is_relative_to(WORKING_FOLDER)]:
        raise SandboxUnavailable(
            f"the Python for programs, {path!r}, needs {covered[0]}. In the sandbox, {WORKING_FOLDER} is a folder of"
            " the program's own; take a Python that lies elsewhere"
        )
    return Interpreter(Path(executable), tuple(outside))


def missing_modules(names: Sequence[str], python: str = "") -> list[str]:
    """Those that programs cannot import. Nothing is imported to find out. Raises SandboxUnavailable.

    Args:
        names: top-level modules.
    """
    command = [str(find_interpreter(python).path), *ALONE, "-c", _FIND, *names]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    missing: list[str] = json.loads(answer.stdout)
    return missing
