"""The backend "project": `lean` of a local Lean project, each module in a sandbox of its own.

The project must be built (`lake build`, `lake exe cache get` for Mathlib): its compiled modules are read, and nothing
is built here. Each check loads the header's modules anew, which takes seconds for Mathlib; the backend repl keeps them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verifiers.lean.backends.modules import Compiled, ModuleRunner, read_messages
from verifiers.lean.backends.process import Finished, run_command
from verifiers.lean.types import LeanLimits, LeanUnavailable, Part, PartEnd, Run, Script
from verifiers.sandbox import bubblewrap

NAME = "project"
MEMORY_MB = 32 << 10
"""Address space: the compiled modules of Mathlib are mapped into it, some 6 GB of files."""
_ASK = "printenv LEAN_PATH; lean --print-prefix; lean --version"
_VERSION = re.compile(r"version ([0-9][^\s,)]*)")
_START_S = 300


@dataclass(frozen=True)
class Toolchain:
    """The Lean of a project."""

    lean: Path
    """The program itself, not elan's."""
    path: str
    """LEAN_PATH of the project and what it depends on."""
    version: str
    folders: tuple[Path, ...]
    """What a process needs to read."""


def find_toolchain(folder: str) -> Toolchain:
    """The Lean of a project's folder, by `lake env` if there is a lakefile. Raises LeanUnavailable."""
    place = Path(folder).resolve()
    if not place.is_dir():
        raise LeanUnavailable(f"the Lean project {folder} is not a folder")
    has_lakefile = any((place / name).is_file() for name in ("lakefile.lean", "lakefile.toml"))
    needed = "lake" if has_lakefile else "lean"
    if shutil.which(needed) is None:
        raise LeanUnavailable(f"`{needed}` is not on PATH; install elan, then build the project (lake build)")
    command = ["lake", "env", "sh", "-c", _ASK] if has_lakefile else ["sh", "-c", f"echo; {_ASK.partition(';')[2]}"]
    try:
        answer = subprocess.run(command, cwd=place, capture_output=True, text=True, check=True, timeout=_START_S)
        path, prefix, version_line = answer.stdout.splitlines()[:3]
    except subprocess.CalledProcessError as error:
        words = (error.stderr.strip().splitlines() or ["no message"])[-1]
        raise LeanUnavailable(f"the Lean project {folder} does not start: {words}") from error
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise LeanUnavailable(f"the Lean project {folder} does not start: {error}") from error
    match = _VERSION.search(version_line)
    modules = [Path(entry) for entry in path.split(":") if entry and Path(entry).is_dir()]
    return Toolchain(
        Path(prefix) / "bin" / "lean", path, match[1] if match else version_line, (Path(prefix), place, *modules)
    )


class LeanProject:
    """A `Backend`. Safe to use from several threads.

    Args:
        folder: of the project.
        isolation: auto or bubblewrap.
        workers: how many modules are compiled at one time is the caller's affair; kept for what makes another one.

    Raises:
        ValueError: there is no such isolation.
        LeanUnavailable: the project, its Lean or bubblewrap is missing.
    """

    name = NAME
    layers: tuple[str, ...] = ("sandbox", "processes", "modules")

    def __init__(self, folder: str, *, isolation: str = "auto", workers: int = 1) -> None:
        if isolation not in ("auto", bubblewrap.NAME):
            raise ValueError(f"isolation is {isolation!r}; the backend {NAME} takes auto or {bubblewrap.NAME}")
        self._options = {"project": folder, "isolation": isolation, "workers": workers}
        self._compiler = _Compiler(find_toolchain(folder))
        self.version = self._compiler.toolchain.version
        self._runner = ModuleRunner(self._compiler)
        finished = self._compiler.lean([], LeanLimits(), {}, ["--version"])
        if finished.status != 0:
            words = finished.output.decode("utf-8", "replace").strip() or finished.reason
            raise LeanUnavailable(f"Lean does not start in bubblewrap: {words}")

    def run(self, script: Script, limits: LeanLimits) -> Run:
        """See `Backend.run`."""
        return self._runner.run(script, limits)

    def options(self) -> Mapping[str, Any]:
        return self._options

    def close(self) -> None:
        """Nothing runs between two modules."""


class _Compiler:
    def __init__(self, toolchain: Toolchain) -> None:
        self.toolchain = toolchain

    def head(self, imports: tuple[str, ...]) -> str:
        """`Init` comes by itself. Whether a module is there, Lean says when it compiles the challenge."""
        return "".join(f"import {name}\n" for name in imports)

    def compile(
        self, name: str, source: str, modules: Mapping[str, bytes], limits: LeanLimits, *, wants_module: bool = True
    ) -> Compiled:
        files = {f"{name}.lean": source.encode("utf-8", "replace")}
        files |= {f"{module}.olean": content for module, content in modules.items()}
        arguments = ["-T", str(limits.heartbeats)] if limits.heartbeats else []
        arguments += ["-o", f"{name}.olean"] if wants_module else []
        with tempfile.TemporaryDirectory(prefix="reasonrl-lean-") as folder:
            place = Path(folder)
            for file, content in files.items():
                (place / file).write_bytes(content)
            finished = self.lean([place], limits, {}, [*arguments, "--json", f"{name}.lean"])
            compiled = place / f"{name}.olean"
            module = compiled.read_bytes() if compiled.is_file() and not compiled.is_symlink() else b""
        messages = read_messages(finished.output)
        if finished.end is not PartEnd.DONE:
            return Compiled(Part(finished.end, messages, finished.reason, finished.seconds))
        if (finished.status == 0 and (module or not wants_module)) or any(message.is_error for message in messages):
            return Compiled(Part(PartEnd.DONE, messages, "", finished.seconds), module)
        words = " ".join(finished.output[-200:].decode("utf-8", "replace").split())
        return Compiled(Part(PartEnd.CRASHED, messages, words or f"exit status {finished.status}", finished.seconds))

    def lean(self, places: list[Path], limits: LeanLimits, environment: dict[str, str], words: list[str]) -> Finished:
        """Runs Lean in the first place, or in an empty folder."""
        with tempfile.TemporaryDirectory(prefix="reasonrl-lean-") as empty:
            place = places[0] if places else Path(empty)
            path = ":".join(filter(None, (str(place), self.toolchain.path)))
            return run_command(
                [str(self.toolchain.lean), *words],
                limits,
                readable=self.toolchain.folders,
                writable=place,
                environment={"LEAN_PATH": path, **environment},
                memory_mb=limits.memory_mb or MEMORY_MB,
            )
