"""One module after the other, each compiled by itself: what the backends have in common that run `lean` on files."""

from __future__ import annotations

import collections
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from verifiers.lean.types import LeanLimits, Message, Part, PartEnd, Run, Script

SETTING, CHALLENGE, CANDIDATE, CHECK = "ReasonRLSetting", "ReasonRLChallenge", "ReasonRLCandidate", "ReasonRLCheck"
"""Names of the modules."""
_MOST_CHALLENGES = 4096
_SEVERITIES = frozenset(["error", "warning", "information"])


@dataclass(frozen=True, slots=True)
class Compiled:
    """One module: what Lean said of it, and the contents of its .olean file, empty if there is none."""

    part: Part
    module: bytes = b""


class Compiler(Protocol):
    """Compiles one module in a process of its own."""

    def head(self, imports: tuple[str, ...]) -> str:
        """The first lines of a module with these imports of the problem's. Raises MissingImport."""
        ...

    def compile(
        self, name: str, source: str, modules: Mapping[str, bytes], limits: LeanLimits, *, wants_module: bool = True
    ) -> Compiled:
        """`modules`: those that it may import besides, by name. `wants_module`: whether its own compiled
        module is.
        """
        ...


class MissingImport(Exception):
    """The backend does not have a module that a header names; the message says so."""


class ModuleRunner:
    """Runs scripts on a compiler. A challenge is compiled once for all its candidates. Safe for several threads."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler
        self._trusted: collections.OrderedDict[tuple[str, ...], Compiled] = collections.OrderedDict()
        self._lock = threading.Lock()

    def run(self, script: Script, limits: LeanLimits) -> Run:
        try:
            head = self._compiler.head(script.imports)
        except MissingImport as missing:
            return Run(Part(PartEnd.MISSING, reason=str(missing)))
        modules: dict[str, bytes] = {}
        if script.setting:
            setting = self._compiled_once(SETTING, head + script.setting, {}, limits)
            if not setting.part.is_sound:
                return Run(setting.part)
            modules = {SETTING: setting.module}
            head += f"import {SETTING}\n"
        challenge = self._compiled_once(CHALLENGE, head + script.challenge, modules, limits)
        if not challenge.part.is_sound:
            return Run(_placed(challenge.part, head))
        candidate = self._compiler.compile(CANDIDATE, head + script.candidate, modules, limits)
        if not candidate.part.is_sound:
            return Run(challenge.part, _placed(candidate.part, head))
        modules |= {CHALLENGE: challenge.module, CANDIDATE: candidate.module}
        check_head = f"{head}import {CHALLENGE}\nimport {CANDIDATE}\n"
        check = self._compiler.compile(CHECK, check_head + script.check, modules, limits, wants_module=False)
        return Run(challenge.part, _placed(candidate.part, head), check.part)

    def _compiled_once(self, name: str, source: str, modules: Mapping[str, bytes], limits: LeanLimits) -> Compiled:
        """A trusted module. What failed for the machine's sake is not remembered."""
        key = (name, source, *(f"{module}" for module in modules))
        with self._lock:
            if (known := self._trusted.get(key)) is not None:
                self._trusted.move_to_end(key)
                return known
        compiled = self._compiler.compile(name, source, modules, limits)
        if compiled.part.end is PartEnd.DONE:
            with self._lock:
                self._trusted[key] = compiled
                while len(self._trusted) > _MOST_CHALLENGES:
                    self._trusted.popitem(last=False)
        return compiled


def _placed(part: Part, head: str) -> Part:
    """With lines that count from the part's own text on."""
    shift = head.count("\n")
    messages = [Message(each.severity, each.text, each.line - shift, each.column, each.kind) for each in part.messages]
    return Part(part.end, tuple(messages), part.reason, part.seconds, part.goals)


def read_messages(output: bytes) -> tuple[Message, ...]:
    """Of `lean --json`: one JSON object a line. What is none is left out; Lean's own panics are such lines."""
    messages = []
    for line in output.splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(value, dict) or value.get("severity") not in _SEVERITIES:
            continue
        place = value.get("pos")
        row, column = (place.get("line"), place.get("column")) if isinstance(place, dict) else (1, 0)
        messages.append(
            Message(
                str(value["severity"]),
                str(value.get("data", "")),
                row if isinstance(row, int) else 1,
                column if isinstance(column, int) else 0,
                str(value.get("kind", "")),
            )
        )
    return tuple(messages)
