"""Fenced code in a response, as Markdown has it: ``` or ~~~, a language after it, any indentation."""

from __future__ import annotations

import re
from dataclasses import dataclass

PYTHON = frozenset({"", "python", "python3", "py", "py3", "python2", "python3.11", "ipython", "ipython3", "code"})
"""Languages of a block that may be a program: none at all, or "code", which some models write for none."""

NOT_CODE = frozenset(
    """
    bash cmd console csv diff html input json latex log markdown math md none output plain plaintext powershell pycon
    result sample sh shell shell-session stdin stdout terminal tex text toml txt xml yaml yml zsh
    """.split()  # noqa: SIM905
)
"""Of a block that shows something else: a command, an output, data."""

_FENCE = re.compile(r"^([ \t>]*)(`{3,}|~{3,})(.*)$")
_SESSION = re.compile(r"\s*(?:>>> |In \[\d+\]:)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    language: str
    """The first word after the fence, in lower case; empty if there is none."""
    text: str
    is_closed: bool = True

    @property
    def is_session(self) -> bool:
        """A dialogue with an interpreter, `>>> f(1)`, and no program."""
        return self.language == "pycon" or bool(_SESSION.match(self.text))

    @property
    def may_be_program(self) -> bool:
        return self.language in PYTHON and not self.is_session

    @property
    def is_other_language(self) -> bool:
        return self.language not in PYTHON and self.language not in NOT_CODE


def fenced_blocks(text: str) -> list[Block]:
    """All fenced blocks in order. One that is not closed goes to the end of the text. Linear in the text.

    A fence in a docstring does not close the block that the docstring stands in, if another one does.
    """
    lines = text.split("\n")
    blocks: list[Block] = []
    opened: _Opened | None = None
    for number, line in enumerate(lines):
        match = _FENCE.match(line)
        if opened is None:
            if match is not None and ("`" not in match[3] or match[2][0] == "~"):  # no ```print(1)``` in a sentence
                opened = _Opened(number + 1, match[1], match[2], _language(match[3]))
            continue
        if match is None or not match[2].startswith(opened.fence):
            opened.quotes += line.count('"""') + line.count("'''")
        elif not match[3].strip():
            if opened.quotes % 2 == 0:
                blocks.append(opened.block(lines, number))
                opened = None
            elif opened.fence_in_quotes is None:
                opened.fence_in_quotes = number
        elif opened.fence_in_quotes is not None and "`" not in match[3]:  # another block begins
            blocks.append(opened.block(lines, opened.fence_in_quotes))
            opened = _Opened(number + 1, match[1], match[2], _language(match[3]))
    if opened is not None and opened.fence_in_quotes is not None:
        blocks.append(opened.block(lines, opened.fence_in_quotes))
    elif opened is not None:
        block = opened.block(lines, len(lines))
        body = block.text.rstrip()
        is_closed = body.endswith(opened.fence)  # "return x```"
        blocks.append(Block(block.language, body.removesuffix(opened.fence), is_closed))
    return blocks


@dataclass(slots=True)
class _Opened:
    """A block whose end has not been reached."""

    start: int
    indent: str
    fence: str
    language: str
    quotes: int = 0
    """Triple quotes up to here: an odd number stands within a docstring."""
    fence_in_quotes: int | None = None

    def block(self, lines: list[str], end: int) -> Block:
        return Block(self.language, _body(lines[self.start : end], self.indent))


def _language(after: str) -> str:
    words = after.strip().strip("{}=").replace(",", " ").replace(":", " ").split()
    word = words[0].lower().removeprefix(".").removeprefix("language-") if words else ""
    return "python" if word.endswith(".py") else word


def _body(lines: list[str], indent: str) -> str:
    """The lines without the indentation of the fence: that of a list item, or of a quotation."""
    if not indent:
        return "\n".join(lines)
    if ">" in indent:
        return "\n".join(re.sub(r"^[ \t]*>[ ]?", "", line) for line in lines)
    width = len(indent.expandtabs(4))
    return "\n".join(_without(line, width) for line in lines)


def _without(line: str, width: int) -> str:
    blanks = len(line) - len(line.lstrip(" \t"))
    head = line[:blanks].expandtabs(4)
    return head[width:] + line[blanks:]
