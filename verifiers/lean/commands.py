"""The commands of a Lean text, as far as a header needs them: where each begins, and which are declarations."""

from __future__ import annotations

import bisect
from dataclasses import dataclass

from verifiers.lean.tokens import Kind, Lines, Token, depths, tokens

MODIFIERS = frozenset(
    ["private", "protected", "public", "noncomputable", "nonrec", "unsafe", "partial", "meta", "local"]
)
THEOREMS = frozenset(["theorem", "lemma"])
_DECLARATIONS = frozenset(
    """
    def abbrev theorem lemma example instance structure inductive class axiom opaque alias irreducible_def
    """.split()  # noqa: SIM905
)
SCOPE = frozenset(
    """
    open set_option namespace section end variable variables universe universes include omit attribute notation infix
    infixl infixr prefix postfix macro macro_rules syntax suppress_compilation unsuppress_compilation mutual
    """.split()  # noqa: SIM905
)
_IMPORTS = frozenset(["import", "prelude", "module"])
_COMMANDS = _DECLARATIONS | SCOPE | _IMPORTS


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a text."""

    keyword: str
    """open, def, theorem ...; "" for text before the first one."""
    text: str
    """With the docstring and the attributes before it, up to the next command."""
    start: int
    code: tuple[Token, ...]

    @property
    def is_import(self) -> bool:
        return self.keyword in _IMPORTS

    @property
    def is_declaration(self) -> bool:
        return self.keyword in _DECLARATIONS and not self.is_local

    @property
    def is_local(self) -> bool:
        """Ends with the file, so that each module needs it: a local notation or instance."""
        return bool(self.code) and self.code[0].text == "local"


def commands(source: str) -> list[Command]:
    """All commands in order. One begins at a keyword that is the first on its line outside brackets, or that follows
    modifiers, attributes and a docstring which are.
    """
    sequence = tokens(source)
    lines = Lines(source)
    starts: list[tuple[int, str]] = []
    pending: int | None = None
    in_attributes = 0
    previous_line = 0
    last_word = ""
    for token, depth in depths(sequence):
        line = lines.line(token.start)
        is_first = line != previous_line
        previous_line = lines.line(max(token.start, token.end - 1))
        if not token.is_code:
            if token.kind is Kind.DOC and depth == 0 and pending is None and token.text.startswith("/--"):
                pending = token.start
            continue
        if token.text == "@" and depth == 0 and is_first and pending is None:
            pending = token.start
        if in_attributes or (token.text == "[" and source[token.start - 1 : token.start] == "@"):
            in_attributes += {"[": 1, "]": -1}.get(token.text, 0)
            continue
        if token.text == "@" and pending is not None:
            continue
        is_due = depth == 0 and (is_first or pending is not None or last_word == "in" or token.text in _IMPORTS)
        if token.kind is Kind.WORD and is_due and (token.text in MODIFIERS or token.text == "scoped"):
            pending = token.start if pending is None else pending
        elif token.kind is Kind.WORD and is_due and token.text in _COMMANDS:
            if last_word != "in" or not starts:
                starts.append((token.start if pending is None else pending, token.text))
            elif token.text in _DECLARATIONS:  # open Nat in theorem ...: one command, which the last word names
                starts[-1] = (starts[-1][0], token.text)
            pending = None
        elif is_due and token.kind is Kind.SYMBOL and token.text == "@":
            continue
        else:
            pending = None
        last_word = token.text if token.kind is Kind.WORD else ""
    return _cut(source, sequence, starts)


def _cut(source: str, sequence: list[Token], starts: list[tuple[int, str]]) -> list[Command]:
    if not starts or source[: starts[0][0]].strip():
        starts = [(0, ""), *starts]
    code = [token for token in sequence if token.is_code]
    offsets = [token.start for token in code]
    result = []
    for number, (start, keyword) in enumerate(starts):
        end = starts[number + 1][0] if number + 1 < len(starts) else len(source)
        first, last = bisect.bisect_left(offsets, start), bisect.bisect_left(offsets, end)
        result.append(Command(keyword, source[start:end], start, tuple(code[first:last])))
    return result


def normal_text(command: Command) -> str:
    """The command's code with single spaces and without comments: equal for texts that only look different."""
    return " ".join(token.text for token in command.code)
