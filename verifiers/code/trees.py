"""The tree of a source that others wrote, without a warning of Python's about how they wrote it."""

from __future__ import annotations

import ast
import threading
import warnings

_LOCK = threading.Lock()
UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What `ast.parse` raises for a text that is not source: a null byte is a ValueError."""


def tree_of(source: str) -> ast.Module:
    """Raises what UNPARSABLE lists."""
    with _LOCK, warnings.catch_warnings():  # the list of filters belongs to all threads
        warnings.simplefilter("ignore")
        return ast.parse(source)


def check_compiles(source: str) -> None:
    """Raises SyntaxError for what only the compiler sees, such as a `return` outside a function. Runs nothing."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compile(source, "tests", "exec", dont_inherit=True)
