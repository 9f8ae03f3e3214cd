"""Every message that docs/troubleshooting.md quotes is one that the program can print."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
VARIABLE = "…"
SHORTEST = 6
"""Shorter pieces between two variables say nothing."""


def literals() -> Iterator[str]:
    """The texts of the program; what an f-string fills in is left out."""
    for path in (ROOT / "reasonrl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else VARIABLE
                    for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


TEXTS = "\n".join(literals())


def messages() -> list[str]:
    """Lines of the blocks marked `text`, and what is quoted in the table of what one sees with verl."""
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```text\n(.*?)^```", page, re.M | re.S)
    table = page.partition("| you see |")[2]
    quoted = re.findall(r"^\| `([^`]+)` \|", table, re.M)
    return [line for block in blocks for line in block.splitlines()] + quoted


def pieces(message: str) -> list[str]:
    return [piece for piece in re.split(f"{VARIABLE}|(?<=steps): ", message) if len(piece.strip()) >= SHORTEST]


def missing(message: str) -> list[str]:
    return [piece for piece in pieces(message) if piece.strip() not in TEXTS]


@pytest.mark.parametrize("message", messages())
def test_a_quoted_message_is_in_the_program(message: str) -> None:
    assert pieces(message), message
    assert not missing(message)


def test_a_message_that_nobody_prints_is_noticed() -> None:
    assert len(messages()) > 25
    assert missing("step …: the moon is not finite")
