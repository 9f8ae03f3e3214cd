"""What a proof is, what runs it, and what came of it. Data alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Statement:
    """A theorem to be proved, as the problem states it. Nothing here comes from a candidate."""

    imports: tuple[str, ...]
    """Modules, e.g. ("Mathlib", "Aesop"); empty for the backend's own default."""
    setting: str
    """Declarations that the statement needs, with the commands around them; empty for most."""
    scope: str
    """The commands that hold for what follows: open, set_option, namespace, variable ..."""
    before: str
    """Docstring, attributes, modifiers and `open ... in`, directly before the theorem."""
    keyword: str
    """theorem or lemma."""
    written_name: str
    """As it stands in the statement."""
    name: str
    """From the root: with the namespaces that are open around it."""
    signature: str
    """Universes, binders and type: what stands between the name and the proof."""
    wants: str
    """How the statement ends: "by" before a block of tactics, ":=" before a term, "" where it does not say."""

    @property
    def text(self) -> str:
        """The statement without a proof."""
        return f"{self.before}{self.keyword} {self.written_name}{self.signature.rstrip()}"


@dataclass(frozen=True, slots=True)
class Script:
    """The modules of one check, without their imports, in the order in which they are compiled."""

    imports: tuple[str, ...]
    setting: str
    """Trusted; empty if the statement needs none. All others import it."""
    challenge: str
    """Trusted: declares the statement under a name that no candidate knows. The candidate does not see it."""
    candidate: str
    check: str
    """Trusted: imports both, and states that the candidate's theorem has the challenge's type."""
    scopes: str
    """A name that no candidate knows, for backends that read all of it as one text."""


class PartEnd(StrEnum):
    """How the compilation of one module ended."""

    DONE = "done"
    """Lean came to the end of the text; its messages say the rest."""
    CPU_TIME = "cpu_time"
    MEMORY = "memory"
    OUTPUT = "output"
    CRASHED = "crashed"
    """Lean ended itself: a stack overflow, a panic."""
    STALLED = "stalled"
    """The wall clock alone: says nothing about the text."""
    BROKEN = "broken"
    """The checker failed: says nothing about the text."""
    MISSING = "missing"
    """The imports are not there."""


UNDECIDED = (PartEnd.STALLED, PartEnd.BROKEN)


@dataclass(frozen=True, slots=True)
class Message:
    """What Lean says of one place."""

    severity: str
    """error, warning or information."""
    text: str
    line: int
    """From 1 on, in the part's own text."""
    column: int = 0
    kind: str = ""

    @property
    def is_error(self) -> bool:
        return self.severity == "error"


@dataclass(frozen=True, slots=True)
class Part:
    """What came of one module."""

    end: PartEnd
    messages: tuple[Message, ...] = ()
    reason: str = ""
    """One line where the end is not DONE."""
    seconds: float = 0.0
    goals: tuple[str, ...] = ()
    """The goals of what is left open, where the backend says so."""

    @property
    def errors(self) -> tuple[Message, ...]:
        return tuple(message for message in self.messages if message.is_error)

    @property
    def is_sound(self) -> bool:
        """Compiled to the end without an error."""
        return self.end is PartEnd.DONE and not self.errors


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a script. Parts after one that failed are None."""

    challenge: Part
    """The setting's part, where that failed."""
    candidate: Part | None = None
    check: Part | None = None


@dataclass(frozen=True, slots=True)
class LeanLimits:
    """What one module may use. The proof itself hits all of them but the wall clock."""

    cpu_s: float = 60.0
    wall_factor: float = 3.0
    """The wall clock's limit is `cpu_s` times this."""
    memory_mb: int = 0
    """Address space of the process. 0: what the backend needs for its libraries and a proof."""
    output_bytes: int = 1 << 20
    """Of messages. What comes beyond is never stored."""
    heartbeats: int = 0
    """Thousands of small allocations for each declaration, whatever maxHeartbeats says; 0: no such limit."""

    @property
    def wall_s(self) -> float:
        return self.cpu_s * self.wall_factor


class LeanUnavailable(RuntimeError):
    """This backend does not work here. The message says what is missing, and how to get it."""


class Backend(Protocol):
    """Compiles scripts. Safe to use from several threads."""

    name: str
    version: str
    """Lean's, e.g. "4.35.0"."""
    layers: tuple[str, ...]
    """What keeps the candidate apart from the check: "sandbox", "processes", "modules"."""

    def run(self, script: Script, limits: LeanLimits) -> Run:
        """Never raises for what a script holds. A failure of the backend's own is a part with the end BROKEN."""
        ...

    def options(self) -> Mapping[str, Any]:
        """Those of the constructor, to make another one like it."""
        ...

    def close(self) -> None:
        """Ends its processes."""
        ...


@dataclass(frozen=True, slots=True)
class Judged:
    """The judgement of one candidate."""

    is_proof: bool | None
    """None: could not be judged."""
    method: str
    """What decided: "lexical", "compile", "type", "axioms", "kernel", a limit's name; undecided: "header", "statement",
    "backend".
    """
    reason: str
    seconds: float = 0.0
    axioms: tuple[str, ...] | None = None
    layers: tuple[str, ...] = ()
    is_timeout: bool = False
    error_line: int | None = None
    """Of the first error in the candidate's text."""
    details: Mapping[str, Any] = field(default_factory=dict)
