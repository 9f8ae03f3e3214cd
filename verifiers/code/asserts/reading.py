"""Assert-style tests: the text becomes calls and expected values, and text only where that is impossible.

assert f([1, 2], k=3) == [4]          Call("f", ([1, 2],), {"k": 3}), Equals([4])
def check(candidate): ...             the same, with the entry point for `candidate`
for _ in range(100): x = random() ... a TestText
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from verifiers.code.asserts.gathering import NeverHolds
from verifiers.code.asserts.literals import FAILURES, with_values
from verifiers.code.asserts.meaning import Helper, Names, Unconvertible
from verifiers.code.asserts.preparation import prepared, unittest_runs
from verifiers.code.asserts.shims import with_shims
from verifiers.code.asserts.texts import CallsNothing, test_text
from verifiers.code.asserts.vacuous import WRITE, refuse_uncalled, refuse_vacuous
from verifiers.code.asserts.walk import Walk
from verifiers.code.comparison.checks import Equals, OneOf, Truthy
from verifiers.code.comparison.equality import member_key
from verifiers.code.formats.evalplus import without_numpy
from verifiers.code.types import BadTests, Case, Check, TestText
from verifiers.python_source import UNPARSABLE, tree_of
from verifiers.sandbox.types import Call


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known beside the text of the tests."""

    entry_point: str = ""
    setup: str = ""
    """Source that stands before each test, and may use the program (MBPP's `test_setup_code`)."""
    definitions: str = ""
    """Helpers of the benchmark's own prompt that the tests use (HumanEval/32's `poly`)."""
    program_names: frozenset[str] = frozenset()
    """What a reference solution or the prompt defines at its top."""
    classes: frozenset[str] = frozenset()


def read_asserts(
    sources: Sequence[str], around: Surroundings = Surroundings(), field: str = "tests", visible: Collection[int] = ()
) -> tuple[tuple[Case, ...], tuple[TestText, ...]]:
    """The cases and texts of assert-style tests in order. `visible`: positions of sources. Raises BadTests."""
    cases: list[Case] = []
    texts: list[TestText] = []
    if around.setup:
        parsed(around.setup, "test_setup_code", "write Python source")
    for i, source in enumerate(sources):
        more_cases, text = _read(source, around, f"{field}[{i}]")
        cases.extend(replace(case, visible=i in visible) for case in more_cases)
        if text is not None:
            texts.append(replace(text, visible=i in visible))
    return tuple(cases), tuple(texts)


def parsed(source: str, label: str, write: str = WRITE) -> ast.Module:
    """The tree of a source. Raises BadTests."""
    try:
        return tree_of(source)
    except UNPARSABLE as error:
        line = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else str(error)
        raise BadTests(f"{label} is not Python source ({line}); {write}") from None


def _read(source: str, around: Surroundings, label: str) -> tuple[list[Case], TestText | None]:
    tree = with_values(parsed(source, label))
    refuse_vacuous(tree, label)
    names = around.program_names | ({around.entry_point} if around.entry_point.isidentifier() else frozenset())
    walk = Walk(_helpers(around.definitions), names)
    try:
        walk.script(_script(tree, around, label))
        if _contradict(walk.cases):
            raise Unconvertible("the program must keep something from one call to the next")
        if not walk.cases:
            raise BadTests(f"{label} calls nothing of the program, so every program would pass; {WRITE}")
        return walk.cases, None
    except NeverHolds as error:
        raise BadTests(f"{label}: {error}; correct the test") from None
    except (Unconvertible, RecursionError) as error:
        shared = isinstance(error, Unconvertible) and error.shared
        script = _script(parsed(source, label), around, label)
        refuse_uncalled(script, label)
        script = with_shims(without_numpy(script), label)
        whole = ast.unparse(ast.fix_missing_locations(script)) + unittest_runs(script)
        try:
            text = test_text(whole, names, around.classes, _name(source, label), shared=shared)
        except CallsNothing:
            raise BadTests(f"{label} calls nothing of the program, so every program would pass; {WRITE}") from None
        except SyntaxError as mistake:
            raise BadTests(f"{label} is not Python source ({mistake.msg}); {WRITE}") from None
        return ([] if text.functions == () or _contradict(walk.cases) else walk.cases), text


def _script(tree: ast.Module, around: Surroundings, label: str) -> ast.Module:
    """The test with what stands before it, and with the calls that run it."""
    before = parsed("\n".join((around.definitions, _candidate(tree, around), around.setup)), label).body
    return ast.Module([*before, *prepared(tree, around.entry_point, label).body], [])


def _candidate(tree: ast.Module, around: Surroundings) -> str:
    """The line that gives the entry point the name `candidate`, where a test calls it that without a `check`."""
    names = {part.id for part in ast.walk(tree) if isinstance(part, ast.Name)}
    parameters = {part.arg for part in ast.walk(tree) if isinstance(part, ast.arg)}
    if not around.entry_point or "candidate" not in names - parameters - around.program_names:
        return ""
    return f"candidate = {around.entry_point}" if around.entry_point != "candidate" else ""


def _helpers(definitions: str) -> Names:
    names: Names = {}
    names |= {node.name: Helper(node, names) for node in tree_of(definitions).body if isinstance(node, ast.FunctionDef)}
    return names


def _contradict(cases: list[Case]) -> bool:
    """Whether one call must return two different values: the program is meant to keep something between them."""
    expected: dict[str, str] = {}
    truths: dict[str, bool] = {}
    for case in cases:
        if not isinstance(case.input, Call):
            continue
        try:
            call = member_key([case.input.function, list(case.input.args), case.input.kwargs])
            if isinstance(case.check, Equals):
                value = member_key(case.check.expected)
                if expected.setdefault(call, value) != value:
                    return True
            truth = _truth(case.check)
        except FAILURES:
            continue
        if truth is not None and truths.setdefault(call, truth) is not truth:
            return True
    return False


def _truth(check: Check) -> bool | None:
    """Whether the value that is expected is true; None if that is not known."""
    if isinstance(check, Truthy | Equals):
        return bool(check.expected)
    if isinstance(check, OneOf) and not check.negated and len({bool(option) for option in check.options}) == 1:
        return bool(check.options[0])
    return None


def _name(source: str, label: str) -> str:
    line = " ".join(source.split())
    return line if len(line) <= 160 and line.startswith("assert") else label
