"""Assert-style tests: the text becomes calls and expected values, and text only where that is impossible.

assert f([1, 2], k=3) == [4]          Call("f", ([1, 2],), {"k": 3}), Equals([4])
def check(candidate): ...             the same, with the entry point for `candidate`
for _ in range(100): x = random() ... a TestText
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from verifiers.code.comparison import Equals
from verifiers.code.equality import member_key
from verifiers.code.gathering import NeverHolds
from verifiers.code.literals import FAILURES
from verifiers.code.meaning import Helper, Names, Unconvertible
from verifiers.code.texts import test_text
from verifiers.code.types import BadTests, Case, TestText
from verifiers.code.walk import Walk
from verifiers.sandbox.types import Call

WRITE = 'write Python assert statements, e.g. "assert add(1, 2) == 3"'


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a test's text
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else str(error)
        raise BadTests(f"{label} is not Python source ({line}); {write}") from None


def _read(source: str, around: Surroundings, label: str) -> tuple[list[Case], TestText | None]:
    tree = parsed(source, label)
    if not _asserts(tree):
        raise BadTests(f"{label} asserts nothing, so every program would pass; {WRITE}")
    source += _missing_call(tree, around, label)
    whole = "\n".join(part for part in (around.definitions, around.setup, source) if part)
    statements = parsed(whole, label).body
    names = around.program_names | ({around.entry_point} if around.entry_point.isidentifier() else frozenset())
    walk = Walk(_helpers(around.definitions), names)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _walk(walk, statements)
            _refuse_contradictions(walk.cases)
        if not walk.cases:
            raise BadTests(f"{label} calls nothing of the program, so every program would pass; {WRITE}")
        return walk.cases, None
    except NeverHolds as error:
        raise BadTests(f"{label}: {error}; correct the test") from None
    except (Unconvertible, RecursionError) as error:
        text = test_text(whole, names, around.classes, _name(source, around, label), False)
        if isinstance(error, Unconvertible) and error.shared:
            text = replace(text, functions=())
        return ([] if text.functions == () else walk.cases), text


def _walk(walk: Walk, statements: list[ast.stmt]) -> None:
    walk.block(statements)
    tests = [value.definition for name, value in walk.names.items() if isinstance(value, Helper) and _is_test(name)]
    for definition in tests:
        if definition.name not in walk.invoked and not definition.args.args:
            walk.nested({}, definition.body)


def _is_test(name: str) -> bool:
    return name.startswith("test") or name == "check"


def _helpers(definitions: str) -> Names:
    return {node.name: Helper(node) for node in ast.parse(definitions).body if isinstance(node, ast.FunctionDef)}


def _missing_call(tree: ast.Module, around: Surroundings, label: str) -> str:
    """The line that runs a test which only defines itself: HumanEval's `check(candidate)`, pytest's `test_f()`."""
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    lines = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name not in called:
            parameters = [argument.arg for argument in node.args.args]
            if len(parameters) == 1 and (node.name == "check" or parameters == ["candidate"]):
                if not around.entry_point:
                    raise BadTests(
                        f"{label} defines {node.name}({parameters[0]}) and does not call it: give `entry_point`, the "
                        "name of the function to test"
                    )
                lines.append(f"{node.name}({around.entry_point})")
            elif not parameters and _is_test(node.name):
                lines.append(f"{node.name}()")
    return "".join(f"\n{line}" for line in lines) + ("\n" if lines else "")


def _asserts(tree: ast.Module) -> bool:
    """Whether anything in the text can fail."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert | ast.Raise):
            return True
        if isinstance(node, ast.Attribute) and node.attr.startswith("assert"):
            return True
        if isinstance(node, ast.Name) and node.id in ("raises", "assertion"):
            return True
        if isinstance(node, ast.Attribute) and node.attr == "raises":
            return True
    return False


def _refuse_contradictions(cases: list[Case]) -> None:
    """One call with two expected values: the program is meant to keep state between them. Raises Unconvertible."""
    expected: dict[str, str] = {}
    for case in cases:
        if isinstance(case.input, Call) and isinstance(case.check, Equals):
            try:
                call = member_key([case.input.function, list(case.input.args), case.input.kwargs])
                value = member_key(case.check.expected)
            except FAILURES:
                continue
            if expected.setdefault(call, value) != value:
                raise Unconvertible("the program must keep something from one call to the next")


def _name(source: str, around: Surroundings, label: str) -> str:
    line = " ".join(source.split())
    return line if len(line) <= 160 and line.startswith("assert") else label
