"""A script as one text, for backends that know no modules: challenge, candidate and check, one below the other.

Each part stands in a section whose name no candidate knows, so what it opens or declares as a variable ends with it.
The parts' messages are told apart by their lines. Candidate and check share one process and one environment here, so
these backends lack the layers "processes" and "modules".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verifiers.lean.commands import commands
from verifiers.lean.tokens import Kind
from verifiers.lean.types import Message, Part, PartEnd, Run, Script

_UNREACHED = "the check was not reached: the text before it ends Lean's reading"


@dataclass(frozen=True, slots=True)
class OneText:
    """A script's text without its imports, and where its parts begin."""

    text: str
    challenge_line: int
    candidate_line: int
    check_line: int

    def run_of(self, messages: Sequence[Message], seconds: float) -> Run:
        """The parts, each with the messages of its own lines. The seconds of all are those of the candidate."""
        challenge = self._part(messages, 1, self.candidate_line)
        candidate = self._part(messages, self.candidate_line, self.check_line, seconds)
        check = self._part(messages, self.check_line, None)
        if not check.messages:
            check = Part(PartEnd.DONE, (Message("error", _UNREACHED, 1),))
        return Run(challenge, candidate, check)

    def _part(self, messages: Sequence[Message], first: int, end: int | None, seconds: float = 0.0) -> Part:
        return Part(
            PartEnd.DONE,
            tuple(
                Message(each.severity, each.text, each.line - first + 1, each.column, each.kind)
                for each in messages
                if first <= each.line and (end is None or each.line < end)
            ),
            seconds=seconds,
        )

    def ended(self, part: Part) -> Run:
        """A run that ended as a whole, by a limit or a failure: nobody knows where, so it counts as the candidate's."""
        if part.end in (PartEnd.BROKEN, PartEnd.STALLED, PartEnd.MISSING):
            return Run(part)
        return Run(Part(PartEnd.DONE), part)


def one_text(script: Script) -> OneText:
    """Puts the parts together."""
    lines: list[str] = []
    if script.setting.strip():
        lines += [*script.setting.rstrip().split("\n"), *closers(script.setting)]
    starts = []
    for number, part in enumerate((script.challenge, script.candidate)):
        name = f"{script.scopes}_{number}"
        lines.append(f"section {name}")
        starts.append(len(lines) + 1)
        lines += [*part.rstrip("\n").split("\n"), *closers(part), f"end {name}"]
    starts.append(len(lines) + 1)
    text = "\n".join([*lines, script.check])
    return OneText(text, *starts)


def closers(source: str) -> list[str]:
    """The `end`s of the scopes that a text leaves open, the innermost first."""
    scopes: list[str] = []
    for command in commands(source):
        words = [token.text for token in command.code if token.kind is Kind.WORD]
        if command.keyword in ("namespace", "section", "mutual"):
            following = words[words.index(command.keyword) + 1 :]
            scopes.append(following[0] if following else "")
        elif command.keyword == "end" and scopes:
            scopes.pop()
    return [f"end {name}".rstrip() for name in reversed(scopes)]


def snippet_messages(values: object) -> tuple[Message, ...]:
    """The messages of the REPL's and Kimina's answers: {"severity", "pos": {"line", "column"}, "data"}. What has
    another form is an error on the first line, so that nothing is taken for silence.
    """
    messages = []
    for value in values if isinstance(values, list) else []:
        place = value.get("pos") if isinstance(value, dict) else None
        if not isinstance(place, dict) or not isinstance(place.get("line"), int):
            messages.append(Message("error", f"a message without a position: {value!r:.100}", 1))
            continue
        severity = str(value.get("severity", "error"))
        column = place.get("column")
        messages.append(
            Message(
                "information" if severity in ("info", "trace") else severity,
                str(value.get("data", "")),
                place["line"],
                column if isinstance(column, int) else 0,
                str(value.get("kind", "")),
            )
        )
    return tuple(messages)
