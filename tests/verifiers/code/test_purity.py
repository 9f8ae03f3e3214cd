"""Programs whose calls may share a process, and programs that carry something from one call to the next."""

import argparse
import ast
import dataclasses
import importlib
import inspect
import statistics
import sys
import textwrap
import types
from pathlib import Path

import pytest

from verifiers.code.formats.livecodebench import PRELUDE
from verifiers.code.purity import MAX_SOURCE, cannot_keep_state, state_risk
from verifiers.code.purity.scopes import all_nodes
from verifiers.code.purity.stateless import BUILT_INS, CALLEES, CALLERS, VALUES


def programs(file: str) -> dict[str, str]:
    """The programs of a file by their titles."""
    text = (Path(__file__).parent / file).read_text("utf-8")
    return dict(section.split("\n", 1) for section in text.split("### ")[1:])


STATEFUL = programs("stateful_programs.txt")
"""Each by a trick of its own: `f()` returns something else in one of its first three calls."""
STATELESS = programs("stateless_programs.txt")


@pytest.mark.parametrize("name", STATEFUL)
def test_a_program_that_carries_something_to_the_next_call_is_refused(name, monkeypatch):
    program = STATEFUL[name]
    assert not cannot_keep_state(program, ["f"])
    assert not cannot_keep_state(program)

    monkeypatch.setattr("sys.modules", dict(sys.modules))
    monkeypatch.setenv("N", "")
    limit = sys.getrecursionlimit()
    names = {"__name__": "program"}
    exec(program, names)
    try:
        values = [names["f"]() for _ in range(3)]
    finally:
        sys.setrecursionlimit(limit)
    assert values[0] != values[1] or values[1] != values[2], "the program keeps nothing, so that it tests nothing"


@pytest.mark.parametrize("name", STATELESS)
def test_a_program_that_keeps_nothing_is_accepted(name):
    functions = ["Solution.f"] if "Solution" in STATELESS[name] else ["f"]
    assert state_risk(STATELESS[name], functions) == ""


def test_a_name_that_may_hold_a_closure_is_refused_only_where_it_may_be_called():
    program = "def f(x):\n    return x\nresult = f(1)"
    assert state_risk(program, ["f"]) == ""
    assert (
        state_risk(program, ["result"])
        == state_risk(program)
        == ("line 1: the name result may be a function that was created by another")
    )


def test_an_entry_point_that_the_program_does_not_define_is_refused():
    assert not cannot_keep_state("def f():\n    pass", ["g"])
    assert not cannot_keep_state("from random import random as f", ["f"])


@pytest.mark.parametrize(
    "program", ["def f(:", "\0", "(" * 5000, "-" * 50_000 + "1", "1" + "+1" * 50_000, "x" * (MAX_SOURCE + 1)]
)
def test_a_text_that_cannot_be_read_is_refused(program):
    assert not cannot_keep_state(program)


@pytest.mark.parametrize(("module", "names"), [("builtins", BUILT_INS), *VALUES.items()])
def test_no_attribute_can_be_set_on_what_a_program_may_hold(module, names):
    for name in names:
        value = getattr(importlib.import_module(module), name)
        with pytest.raises((AttributeError, TypeError)):
            value.state = 1
            pytest.fail(f"{module}.{name}")


def test_what_is_listed_exists():
    for module, names in CALLEES.items():
        for name in names:
            assert callable(getattr(importlib.import_module(module), name))
    for module, name in CALLERS:
        assert name in BUILT_INS if not module else name in VALUES.get(module, set()) | CALLEES.get(module, set())


def test_the_standard_library_is_read_and_what_keeps_state_in_it_is_seen():
    folder = Path(importlib.__file__).parent.parent
    risks = {path.stem: state_risk(path.read_text("utf-8")) for path in sorted(folder.glob("*.py"))[:60]}
    assert len(risks) == 60
    assert not [name for name, risk in risks.items() if "cannot be read" in risk]
    assert all(risks[name] for name in ("abc", "asyncore", "cmd", "codecs", "copyreg") if name in risks)


def test_the_imports_that_livecodebench_puts_before_a_program_are_no_reason_to_refuse_it():
    program = "class Solution:\n    def f(self, xs: List[int]) -> int:\n        return sum(Counter(xs)) + "
    program += "bisect.bisect(xs, pow(2, 3))\n"
    assert state_risk(PRELUDE + program) == state_risk(PRELUDE + program, ["Solution.f"]) == ""
    assert "random.choice" in state_risk(PRELUDE + program.replace("sum", "choice"), ["Solution.f"])


@pytest.mark.parametrize("module", [ast, argparse, dataclasses, statistics, textwrap])
def test_the_quick_walk_sees_every_node_but_contexts_and_operators(module: types.ModuleType) -> None:
    tree = ast.parse(inspect.getsource(module) + _RARE_SYNTAX)
    leaves = (ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop)
    expected = [node for node in ast.walk(tree) if not isinstance(node, leaves)]
    assert all_nodes(tree) == expected


_RARE_SYNTAX = """
async def f(a, /, b=1, *c, d, e=2, **g):
    global h
    async with a as b, c: nonlocal_ = f"{a!r:>{b}}"
    async for x in y: await z
    match a:
        case {"k": v, **rest} | A(1, b=2) | [*_, None] | [1, *more] if (n := a): return {**a, b: c}
        case B() as name: raise C from d
    try: del x[1:2, ...]
    except* E as error: yield
"""
