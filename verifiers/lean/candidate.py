"""From a response to the text that is compiled: the proof is found, and what belongs to the problem is replaced by it.

    strict    the last fenced block in lean or lean4 after the thinking
    lenient   also one without a language, one that was cut off, and a whole response that is Lean
    whole     the response as it stands

A response may hold the whole theorem, with helper lemmas and its own header, or the proof alone.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from verifiers.code.source.fences import Block, fenced_blocks
from verifiers.lean.commands import THEOREMS, Command, commands, normal_text
from verifiers.lean.statement import ROOT, declared
from verifiers.lean.tokens import depths, tokens
from verifiers.lean.types import Statement
from verifiers.response import Extraction, Mode, check_mode, is_unfinished_thought, strip_thinking

LANGUAGES = frozenset(["lean", "lean4"])
_UNNAMED = frozenset(["", "tactics", "tactic", "code", "lean3"])
_STARTS = frozenset(["theorem", "lemma", "import", "by", "open", "fun", "have", "intro", "exact", "simp", "set_option"])
_IN_MATHLIB = frozenset(["Aesop", "Batteries", "ImportGraph", "Lean", "Plausible", "ProofWidgets", "Qq", "Std"])
"""What Mathlib itself imports."""
MOST_CHARACTERS = 1_000_000
"""Longer code is not read: a proof that a person could follow is shorter."""
_CLOSING_FENCE = re.compile(r"\n```[ \t]*\Z|\A```[ \t]*\Z")


@dataclass(frozen=True, slots=True)
class Candidate:
    """The text of a candidate, as it is compiled behind the problem's own scope."""

    text: str
    proof_start: int
    """Where its proof of the theorem begins: an offset."""


class Unusable(Exception):
    """A candidate that cannot be compiled as a proof of the theorem; the message says why."""

    def __init__(self, reason: str, *, is_unparsed: bool = False) -> None:
        super().__init__(reason)
        self.is_unparsed = is_unparsed
        """There is no telling what the response wants to say; otherwise it says something wrong."""


def extract(response: str, mode: Mode = "strict") -> Extraction:
    """The Lean text in a response; `answer` is None if there is none, and `reason` says why.

    Raises:
        ValueError: the mode is unknown.
    """
    check_mode(mode)
    if mode == "whole":
        return Extraction(response, "the response") if response.strip() else Extraction(None, "the response is empty")
    text = strip_thinking(response.replace("\r\n", "\n").lstrip("\ufeff"))
    if not text.strip() and is_unfinished_thought(response):
        return Extraction(None, "the response ends within a thought")
    blocks = fenced_blocks(text)
    chosen = [block for block in blocks if block.language in LANGUAGES]
    if mode == "lenient":
        chosen = chosen or [block for block in blocks if block.language in _UNNAMED and block.text.strip()]
        if not chosen and (source := _bare_source(text)):
            return Extraction(source, "the whole response, which is Lean")
    if not chosen:
        return Extraction(None, "no code block in lean" if blocks or mode == "strict" else "no Lean in the response")
    return _of_block(chosen[-1], mode)


def _of_block(block: Block, mode: Mode) -> Extraction:
    if not block.text.strip():
        return Extraction(None, "the last code block is empty")
    if not block.is_closed and mode == "strict":
        return Extraction(None, "the last code block is not closed: the response was cut off")
    return Extraction(block.text.strip("\n"), "the last fenced block")


def _bare_source(text: str) -> str:
    """A response that goes on where a prompt ended within a code block, or that is Lean from its first word on."""
    closed = _CLOSING_FENCE.sub("", text.rstrip())
    if "```" in closed:
        return ""
    words = [token.text for token in tokens(closed[:2000]) if token.is_code]
    is_lean = closed != text.rstrip() or (words and (words[0] in _STARTS or words[:2] == ["@", "["]))
    return closed.strip("\n") if is_lean else ""


def read_candidate(source: str, statement: Statement) -> Candidate:
    """The text to compile. Raises Unusable."""
    if len(source) > MOST_CHARACTERS:
        raise Unusable(f"the code has {len(source):,} characters; at most {MOST_CHARACTERS:,} are read")
    own_commands = commands(source)
    check_imports(own_commands, statement)
    remaining = _remaining(own_commands, statement)
    titles = [pair[1].text for each in remaining if (pair := declared(each, THEOREMS))]
    wanted = (statement.written_name, statement.name, f"{ROOT}{statement.name}")
    count = sum(title in wanted for title in titles)
    starts = {
        each.start for each in remaining
    }  # what is left out leaves its lines, so that Lean counts as the response
    text = "".join(each.text if each.start in starts else "\n" * each.text.count("\n") for each in own_commands)
    if count > 1:
        raise Unusable(f"there are {count} theorems named {statement.written_name}", is_unparsed=True)
    if count == 0 and any(each.is_declaration for each in remaining):
        shown = ", ".join(titles[:3]) or "none"
        raise Unusable(f"no theorem named {statement.written_name} (theorems in the code: {shown})", is_unparsed=True)
    if not any(token.is_code for token in tokens(text)):
        raise Unusable("the code holds nothing but comments", is_unparsed=True)
    if count == 0:
        return _completed(text, statement)
    theorem = next(each for each in remaining if (pair := declared(each, THEOREMS)) and pair[1].text in wanted)
    if "private" in [token.text for token in theorem.code[:8]]:
        raise Unusable(f"the theorem {statement.written_name} is private")
    return Candidate(text.rstrip() + "\n", text.index(theorem.text) + _proof_offset(theorem))


def check_imports(own_commands: list[Command], statement: Statement) -> None:
    """Raises Unusable for an import that the problem's own do not bring along."""
    for command in own_commands:
        if command.keyword != "import":
            continue
        for name in [token.text for token in command.code[1:]]:
            if not _is_covered(name, statement.imports):
                listed = ", ".join(statement.imports) or "nothing"
                raise Unusable(f"the code imports {name[:60]}, and the problem's header imports {listed}")


def _is_covered(name: str, imports: tuple[str, ...]) -> bool:
    """Whether the problem's imports bring a module along."""
    if name == "Init" or any(name == module or name.startswith(f"{module}.") for module in imports):
        return True
    return name.partition(".")[0] in _IN_MATHLIB and any(module.partition(".")[0] == "Mathlib" for module in imports)


def _remaining(own_commands: list[Command], statement: Statement) -> list[Command]:
    """Without imports, and without what the problem's own header says in the same words: it stands there already."""
    trusted = [normal_text(each) for each in commands(statement.setting or statement.scope) if each.code]
    remaining = []
    for command in own_commands:
        words = normal_text(command)
        if words in trusted and command.keyword != "end":
            trusted.remove(words)
        elif not command.is_import:
            remaining.append(command)
    return remaining


def _completed(proof: str, statement: Statement) -> Candidate:
    """The statement with a proof that came alone."""
    proof = proof.strip("\n").rstrip()
    first = next((token for token in tokens(proof) if token.is_code), None)
    start = first.text if first else ""
    offset = len(statement.text)
    if start in (":=", "|", "where"):
        return Candidate(f"{statement.text}\n{proof}\n", offset)
    opening = "by" if statement.wants == "by" and start != "by" else ""
    return Candidate(f"{statement.text} := {opening}\n{textwrap.indent(proof, '  ')}\n", offset)


def _proof_offset(theorem: Command) -> int:
    """Where the proof begins in the command's text: at the first := outside brackets that no `let` takes."""
    bound = 0
    for token, depth in depths(list(theorem.code)):
        if depth == 0 and token.text in ("let", "have"):
            bound += 1
        elif depth == 0 and token.text == ":=" and bound == 0:
            return token.start - theorem.start
        elif depth == 0 and token.text == ":=":
            bound -= 1
    return 0
