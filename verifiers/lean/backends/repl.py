"""The backend "repl": the leanprover-community REPL in a Lean project, with the header's environment kept.

A header is elaborated once, by a process that sees no candidate, and pickled; workers read the pickle, each in
bubblewrap with the pickle read-only. Every proof is a command in that environment, and the environment that the proof
leaves is never used. A worker ends after so many proofs, when it has grown too large, and after every proof that hit a
limit. Candidate and check share the worker's process: the layers "processes" and "modules" are missing here.

Protocol: one JSON object and an empty line each way. {"cmd", "env"?}, {"pickleTo", "env"}, {"unpickleEnvFrom"} are
answered by {"env", "messages"?, "sorries"?} or {"message"} for a failure.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verifiers.lean.backends.modules import MissingImport
from verifiers.lean.backends.one_text import one_text, snippet_messages
from verifiers.lean.backends.process import sandboxed
from verifiers.lean.backends.project import MEMORY_MB, Toolchain, find_toolchain
from verifiers.lean.types import LeanLimits, LeanUnavailable, Part, PartEnd, Run, Script
from verifiers.sandbox import bubblewrap

NAME = "repl"
_HEADER_S = 600.0
_FOREVER_S = 10_000_000
_LOOK_S = 0.1
_LEAST_CHARS = 1 << 16
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGESIZE")


class LeanRepl:
    """A `Backend`. Safe to use from several threads.

    Args:
        folder: of the project, which is built.
        isolation: auto or bubblewrap.
        workers: processes, and so proofs at one time.
        program: the REPL's executable; by default `repl` of the project's own build or on PATH.
        uses: proofs of one process.
        resident_mb: a process that holds more after a proof ends.

    Raises:
        ValueError: there is no such isolation.
        LeanUnavailable: the project, its Lean, the REPL or bubblewrap is missing.
    """

    name = NAME
    layers: tuple[str, ...] = ("sandbox",)

    def __init__(
        self,
        folder: str,
        *,
        isolation: str = "auto",
        workers: int = 1,
        program: str = "",
        uses: int = 200,
        resident_mb: int = 12_000,
    ) -> None:
        if isolation not in ("auto", bubblewrap.NAME):
            raise ValueError(f"isolation is {isolation!r}; the backend {NAME} takes auto or {bubblewrap.NAME}")
        self._options = {"project": folder, "isolation": isolation, "workers": workers, "program": program}
        self._toolchain = find_toolchain(folder)
        self._program = find_repl(folder, program)
        self.version = self._toolchain.version
        self._uses, self._resident_mb = uses, resident_mb
        self._turns = threading.BoundedSemaphore(workers)
        self._workers = workers
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._pickles: dict[str, Path] = {}
        self._pickle_locks: dict[str, threading.Lock] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="reasonrl-lean-headers-")

    def run(self, script: Script, limits: LeanLimits) -> Run:
        """See `Backend.run`."""
        text = one_text(script)
        header = "".join(f"import {name}\n" for name in script.imports)
        with self._turns:
            try:
                worker = self._worker(header)
            except MissingImport as missing:
                return Run(Part(PartEnd.MISSING, reason=str(missing)))
            except (_ReplFailed, LeanUnavailable) as failed:
                return Run(Part(PartEnd.BROKEN, reason=f"the REPL failed: {failed}"))
            started = time.monotonic()
            try:
                order: dict[str, Any] = {"cmd": text.text} | ({} if worker.env is None else {"env": worker.env})
                answer = worker.ask(order, limits)
            except _ReplFailed as failed:
                worker.close()
                return text.ended(Part(failed.end, reason=str(failed), seconds=time.monotonic() - started))
            seconds = time.monotonic() - started
            worker.uses += 1
            if worker.uses >= self._uses or worker.resident_mb() > self._resident_mb:
                worker.close()
            else:
                with self._lock:
                    self._idle.append(worker)
        if "env" not in answer:
            return Run(Part(PartEnd.BROKEN, reason=f"the REPL says {answer.get('message', answer)!r:.200}"))
        return text.run_of(snippet_messages(answer.get("messages") or []), seconds)

    def options(self) -> Mapping[str, Any]:
        return self._options

    def close(self) -> None:
        with self._lock:
            workers, self._idle = self._idle, []
        for worker in workers:
            worker.close()

    def _worker(self, header: str) -> _Worker:
        """An idle one with this header's environment, else a new one; one with another header makes room for it."""
        with self._lock:
            for worker in self._idle:
                if worker.header == header:
                    self._idle.remove(worker)
                    return worker
            spare = self._idle.pop(0) if len(self._idle) >= self._workers else None
        if spare is not None:
            spare.close()
        if not header:
            return self._start(header, None)
        with self._lock:
            lock = self._pickle_locks.setdefault(header, threading.Lock())
        with lock:
            if header not in self._pickles:
                self._pickles[header] = self._pickle(header)
        return self._start(header, self._pickles[header])

    def _start(self, header: str, pickle: Path | None) -> _Worker:
        worker = _Worker(self._program, self._toolchain, header, [pickle.parent] if pickle else [])
        if pickle is not None:
            try:
                worker.env = _env_of(worker.ask({"unpickleEnvFrom": str(pickle)}, LeanLimits(cpu_s=_HEADER_S)))
            except _ReplFailed:
                worker.close()
                raise
        return worker

    def _pickle(self, header: str) -> Path:
        """Elaborates a header in a process of its own. Raises MissingImport for one that does not compile."""
        worker = _Worker(self._program, self._toolchain, header, [])
        try:
            limits = LeanLimits(cpu_s=_HEADER_S)
            answer = worker.ask({"cmd": header}, limits)
            errors = [each for each in snippet_messages(answer.get("messages") or []) if each.is_error]
            if errors or "env" not in answer:
                words = errors[0].text if errors else answer.get("message", "no environment")
                raise MissingImport(f"the header cannot be imported: {words:.200}")
            worker.ask({"pickleTo": str(worker.folder / "header.olean"), "env": answer["env"]}, limits)
            place = Path(self._folder.name) / f"{len(self._pickles)}" / "header.olean"
            place.parent.mkdir(exist_ok=True)
            shutil.copyfile(worker.folder / "header.olean", place)
            return place
        except OSError as error:
            raise _ReplFailed(f"the header's pickle cannot be read: {error}") from error
        finally:
            worker.close()


def find_repl(folder: str, program: str = "") -> Path:
    """The REPL's executable. Raises LeanUnavailable."""
    built = [
        Path(folder, place, ".lake/build/bin/repl") for place in ("", ".lake/packages/repl", ".lake/packages/REPL")
    ]
    on_path = shutil.which("repl")
    for place in [Path(program)] if program else [*built, *([Path(on_path)] if on_path else [])]:
        if place.is_file() and os.access(place, os.X_OK):
            return place.resolve()
    raise LeanUnavailable(
        f"there is no REPL {program or 'in the project or on PATH'}: clone leanprover-community/repl at the project's"
        " Lean version, `lake build` it, and write program: PATH/.lake/build/bin/repl"
    )


class _ReplFailed(Exception):
    """The process gave no answer; `end` says whose fault that is."""

    def __init__(self, words: str, end: PartEnd = PartEnd.BROKEN) -> None:
        super().__init__(words)
        self.end = end


class _Worker:
    """One REPL process. Used by one thread at a time."""

    def __init__(self, program: Path, toolchain: Toolchain, header: str, readable: list[Path]) -> None:
        self.header = header
        self.env: int | None = None
        self.uses = 0
        self._stack = contextlib.ExitStack()
        self._noise = ""
        try:
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="reasonrl-repl-"))
            self.folder = Path(folder)
            self._process: subprocess.Popen[bytes] = self._stack.enter_context(
                sandboxed(
                    [str(program)],
                    readable=[*toolchain.folders, program.parent, *readable],
                    writable=self.folder,
                    environment={"LEAN_PATH": toolchain.path},
                    cpu_s=_FOREVER_S,
                    memory_mb=MEMORY_MB,
                    stdin=subprocess.PIPE,
                )
            )
        except OSError as error:
            self._stack.close()
            raise _ReplFailed(str(error)) from error

    def ask(self, order: dict[str, Any], limits: LeanLimits) -> dict[str, Any]:
        """Raises _ReplFailed; the process cannot be used after that."""
        assert self._process.stdin is not None and self._process.stdout is not None
        before_s, started = self._cpu_s(), time.monotonic()
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n\n")
            self._process.stdin.flush()
        except OSError as error:
            raise _ReplFailed(f"the process is gone: {error}") from error
        stream = self._process.stdout.fileno()
        most = max(limits.output_bytes, _LEAST_CHARS)
        data = bytearray()
        while True:
            if select.select([stream], [], [], _LOOK_S)[0]:
                part = os.read(stream, 1 << 16)
                if not part:
                    words = " ".join(data[-200:].decode("utf-8", "replace").split())
                    end = PartEnd.MEMORY if "memory" in words else PartEnd.CRASHED
                    raise _ReplFailed(words or "the process ended itself", end)
                data += part
                if (answer := _complete(data)) is not None:
                    return answer
                if len(data) > most:
                    raise _ReplFailed(f"more than {most} bytes of output", PartEnd.OUTPUT)
            if self._cpu_s() - before_s >= limits.cpu_s:
                raise _ReplFailed(f"more than {limits.cpu_s:g} s of processor time", PartEnd.CPU_TIME)
            if time.monotonic() - started >= limits.wall_s:
                raise _ReplFailed(f"no answer after {limits.wall_s:g} s of wall clock", PartEnd.STALLED)

    def resident_mb(self) -> float:
        return sum(int(fields[21]) for fields in self._stats()) * _PAGE / (1 << 20)

    def close(self) -> None:
        """Ends the process and empties its folder."""
        self._stack.close()

    def _cpu_s(self) -> float:
        return sum(int(field) for fields in self._stats() for field in fields[11:15]) / _TICKS

    def _stats(self) -> list[list[str]]:
        """The fields of /proc/PID/stat behind the name, of the process and all below it."""
        stats: dict[int, list[str]] = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError):
                    stats[int(name)] = Path("/proc", name, "stat").read_text("latin-1").rpartition(")")[2].split()
        family = {self._process.pid}
        for pid in sorted(stats):
            if int(stats[pid][1]) in family:
                family.add(pid)
        return [stats[pid] for pid in family if pid in stats]


def _complete(data: bytearray) -> dict[str, Any] | None:
    """The answer, once it is there: a JSON object with an empty line after it. Other text before it is passed over."""
    if not data.rstrip(b" ").endswith((b"\n\n", b"\n\r\n")):
        return None
    text = data.decode("utf-8", "replace").strip()
    for start in [0, *(place + 1 for place, character in enumerate(text) if character == "\n")]:
        if text.startswith("{", start):
            try:
                value = json.loads(text[start:])
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                return value
    return None


def _env_of(answer: dict[str, Any]) -> int:
    if not isinstance(answer.get("env"), int):
        raise _ReplFailed(f"no environment: {answer.get('message', answer)!r:.200}")
    return int(answer["env"])
