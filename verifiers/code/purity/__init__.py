"""Can a program keep anything from one call of its functions to the next? Decided without running it.

`state_risk` is empty only for programs whose calls may share a process, since no call can see that another came before.
The rule has two halves. They are about functions: what the module's own lines do happens once, before all calls.

1. Nothing that outlives a call can be changed. Functions, classes and modules may be called, or be given to a built-in
   function such as `sorted` that calls them, but never be stored, returned, passed on or looked into. Constants of the
   module are numbers, texts and tuples of them; its lists and dicts are written out, hold constants and are only read.
   Defaults and class attributes are constants. So every other object that a function holds came into being in that
   call, and may be changed at will.
2. Nothing leads around the first half. What comes from outside stands on a list (`stateless.py`): no clock, no chance,
   no files, no `global`, no attributes by text, no frames.

A program that is refused may still be harmless. An address in memory, as in `repr` of a function, is not looked at. The
caller makes a new instance for each call of a method, and collects garbage between calls.
"""

from __future__ import annotations

from collections.abc import Iterable

from verifiers.code.purity.names import StarImport
from verifiers.code.purity.places import Risk
from verifiers.code.purity.reader import Reader
from verifiers.code.source.unfenced import parsed
from verifiers.python_source import UNPARSABLE, tree_of

MAX_SOURCE = 100_000
"""Characters. A longer program is not looked at."""


def cannot_keep_state(source: str, functions: Iterable[str] | None = None) -> bool:
    """Whether the calls of this program may share a process; see `state_risk`."""
    return not state_risk(source, functions)


def state_risk(source: str, functions: Iterable[str] | None = None) -> str:
    """Empty if no state can pass from one call to the next; otherwise one line with what might carry it.

    Args:
        source: the whole program, its prelude included.
        functions: the names that are called from outside, "Class.method" included. None: any name that it defines, and
            none that it imports.
    """
    if len(source) > MAX_SOURCE:
        return f"the program has more than {MAX_SOURCE} characters"
    try:
        tree = parsed(source) or tree_of(source)
        Reader(tree).check(None if functions is None else {name.partition(".")[0] for name in functions})
    except (Risk, StarImport) as risk:
        return str(risk)
    except UNPARSABLE as error:
        return f"the program cannot be read: {type(error).__name__}"
    return ""
