"""The tree and the free names of a source that others wrote, without a warning of Python's about how they wrote it.

The one place that calls `ast.parse`. CPython counts the depth of the tree that it builds once for all threads: if the
garbage collector lets another thread parse meanwhile, both may raise SystemError, "AST constructor recursion depth
mismatch" (seen with 3.11.7).
"""

from __future__ import annotations

import ast
import contextlib
import symtable
import threading
import warnings
from collections.abc import Iterator

_LOCK = threading.RLock()  # what the garbage collector runs meanwhile may parse, too
UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What `ast.parse` raises for a text that is not source: a null byte is a ValueError."""


def tree_of(source: str | bytes) -> ast.Module:
    """Raises what UNPARSABLE lists."""
    with _alone():
        return ast.parse(source)


def expression_of(source: str) -> ast.expr:
    """The tree of one expression. Raises what UNPARSABLE lists."""
    with _alone():
        return ast.parse(source, mode="eval").body


def check_compiles(source: str) -> None:
    """Raises SyntaxError for what only the compiler sees, such as a `return` outside a function. Runs nothing."""
    with _alone():
        compile(source, "tests", "exec", dont_inherit=True)


def free_names(source: str) -> frozenset[str]:
    """Names that a source reads and never binds at its top. Raises SyntaxError."""
    top = symtable.symtable(source, "tests", "exec")
    bound = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    read = {symbol.get_name() for table in _tables(top) for symbol in table.get_symbols() if symbol.is_global()}
    read |= {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    return frozenset(read - bound - {"__name__", "__file__"})


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with _LOCK, warnings.catch_warnings():  # the list of filters, too, belongs to all threads
        warnings.simplefilter("ignore")
        yield


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)
