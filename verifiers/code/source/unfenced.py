"""Source in a response that has no fence around it. For the lenient mode alone."""

from __future__ import annotations

import ast
import functools
import re
import textwrap

from verifiers.python_source import UNPARSABLE, tree_of

MAX_STARTS = 10
MAX_CUTS = 10
MAX_CHARACTERS = 50_000
_REMEMBERED_CHARACTERS = 20_000
_START = re.compile(r"^[ \t]*(?:(?:async )?def |class |import |from |@)\w", re.MULTILINE)


_remembered = functools.lru_cache(maxsize=8)(tree_of)
"""One program is looked at several times: for its functions, and for the state that it may keep."""


def parsed(text: str) -> ast.Module | None:
    """The tree of a source text; None if it is not source. Not to be changed: it may be handed out again."""
    try:
        return _remembered(text) if len(text) <= _REMEMBERED_CHARACTERS else tree_of(text)
    except UNPARSABLE:
        return None


def is_source(text: str) -> bool:
    """Whether a text is a program or the body of a function, and no word or number that happens to be Python."""
    tree = parsed(text) or parsed(textwrap.dedent(text)) or parsed("if True:\n    " + text.strip())
    if tree is None:
        return False
    first = tree.body[0] if tree.body else None
    statements = first.body if isinstance(first, ast.If) and len(tree.body) == 1 else tree.body
    return any(not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call) for node in statements)


def source_within(text: str) -> str:
    """The first passage that begins with a definition or an import and defines something, up to the line that is not
    source any more; empty if there is none. Of a longer text the first MAX_CHARACTERS are read.
    """
    text = text[:MAX_CHARACTERS]
    for match in list(_START.finditer(text))[:MAX_STARTS]:
        source = _source_from(text[match.start() :])
        tree = parsed(source)
        if tree is not None and any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body):
            return source
    return ""


def _source_from(text: str) -> str:
    """As much of the text as is source, without the indentation of its first line."""
    lines = text.split("\n")
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    end = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith(indent)), len(lines))
    lines = [line.removeprefix(indent) for line in lines[:end]]
    for _ in range(MAX_CUTS):
        try:
            tree_of("\n".join(lines))
        except SyntaxError as error:
            wrong = (error.lineno or 1) - 1
            lines = lines[: min(wrong, len(lines) - 1)]
        except (ValueError, RecursionError, MemoryError):
            return ""
        else:
            break
    return "\n".join(lines)
