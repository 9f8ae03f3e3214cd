"""From what came of the three modules to a judgement. It knows no backend, and reads nothing that a candidate wrote.

    1  the challenge compiles: otherwise the problem is at fault, and nothing is judged
    2  the candidate compiles without an error
    3  the check compiles without an error: the theorem is there, public, and has exactly the stated type
    4  what the theorem assumes, as Lean lists it in the check, is nothing but the three axioms of Lean's logic

A candidate's messages decide nothing in its favour: an error there is its end, and silence there is worth nothing.
"""

from __future__ import annotations

import re

from verifiers.lean.statement import check_name
from verifiers.lean.types import UNDECIDED, Judged, Message, Part, PartEnd, Run

AXIOMS = frozenset(["propext", "Classical.choice", "Quot.sound"])
"""Those of Lean's own logic. A proof may use no other."""
LAYERS = ("challenge", "type", "axioms")
_LIMIT_WORDS = {
    PartEnd.CPU_TIME: "processor time",
    PartEnd.MEMORY: "memory",
    PartEnd.OUTPUT: "output",
    PartEnd.CRASHED: "a crash",
}
_NONE = "does not depend on any axioms"
_LISTED = re.compile(r"depends on axioms: \[(.*)\]", re.DOTALL)
_NAME_TAKEN = "unexpected success"
"""Of the challenge's #check_failure: there is something with the theorem's name."""
_MAX_SHOWN = 200


def judge_run(run: Run, check_nonce: str, *, first_line: int = 0) -> Judged:
    """What a run says of its candidate.

    Args:
        check_nonce: names the theorem of the check.
        first_line: lines before the candidate's own text in its part.
    """
    seconds = sum(part.seconds for part in (run.challenge, run.candidate, run.check) if part)
    if (failed := _statement_failure(run.challenge)) is not None:
        method, reason, is_timeout = failed
        return Judged(None, method, reason, seconds, is_timeout=is_timeout)
    for part, layer in ((run.candidate, "compile"), (run.check, "type")):
        if part is None:
            return Judged(None, "backend", "the backend gave no answer for a part", seconds)
        if part.end in UNDECIDED or part.end is PartEnd.MISSING:
            return Judged(None, "backend", part.reason, seconds, is_timeout=part.end is PartEnd.STALLED)
        if part.is_sound:
            continue
        line = None
        if layer == "compile":
            line = min((error.line - first_line for error in part.errors), default=None)
        return Judged(False, *_part_failure(part, layer, first_line), seconds, error_line=line)
    assert run.check is not None
    axioms = axioms_of(run.check, check_nonce)
    if axioms is None:
        return Judged(None, "backend", "the check did not list the axioms of its theorem", seconds)
    if foreign := [name for name in axioms if name not in AXIOMS]:
        return Judged(False, "axioms", _axiom_reason(foreign), seconds, axioms=axioms)
    return Judged(True, "kernel", "the theorem has the stated type and assumes no more than Lean does", seconds, axioms)


def _statement_failure(part: Part) -> tuple[str, str, bool] | None:
    """Method, reason, and whether it is a matter of time; None if the challenge compiled."""
    if part.is_sound:
        return None
    if part.end in UNDECIDED:
        return "backend", part.reason, part.end is PartEnd.STALLED
    if part.end is not PartEnd.DONE:
        words = part.reason or f"it ended with {part.end.value}"
        if part.end is PartEnd.MISSING:
            return "header", words, False
        return "statement", f"the statement: {words}", False
    if part.errors[0].text.startswith(_NAME_TAKEN):
        return "statement", "the theorem's name is taken: what the header imports has already declared it", False
    return "statement", f"the statement does not compile: {_short(part.errors[0].text)}", False


def _part_failure(part: Part, layer: str, first_line: int) -> tuple[str, str]:
    if part.end is not PartEnd.DONE:
        return part.end.value, f"the proof ended with {_LIMIT_WORDS[part.end]}: {part.reason}"
    error = min(part.errors, key=lambda message: message.line)
    if limit := deterministic_limit(error):
        return limit, _short(error.text)
    if layer == "compile":
        return "compile", f"line {error.line - first_line}: {_short(error.text)}"
    return "type", f"not a proof of the stated theorem: {_short(error.text)}"


def deterministic_limit(message: Message) -> str:
    """The name of Lean's own limit that an error tells of; empty for any other error."""
    if "heartbeats" in message.text and "deterministic" in message.text:
        return "heartbeats"
    if message.kind == "runtime.maxRecDepth" or message.text.startswith("maximum recursion depth"):
        return "recursion_depth"
    if "excessive memory" in message.text:
        return "memory"
    return ""


def axioms_of(check: Part, check_nonce: str) -> tuple[str, ...] | None:
    """The axioms that the check lists; None if it does not list them exactly once."""
    subject = f"'{check_name(check_nonce)}' "
    lists = [
        message.text[len(subject) :]
        for message in check.messages
        if message.severity in ("information", "info") and message.text.startswith(subject)
    ]
    if len(lists) != 1:
        return None
    if lists[0].strip() == _NONE:
        return ()
    match = _LISTED.fullmatch(lists[0].strip())
    return tuple(_names(match[1])) if match else None


def _names(listed: str) -> list[str]:
    """Names between commas. A name in guillemets may hold a comma, and is never one without them."""
    return [name.strip() for name in re.findall(r"(?:«[^»]*»|[^,«])+", listed) if name.strip()]


def _axiom_reason(foreign: list[str]) -> str:
    if "sorryAx" in foreign:
        return "the proof is not complete: it uses sorry"
    return f"the proof assumes {', '.join(name[:60] for name in foreign[:3])}, which is none of Lean's own axioms"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."
