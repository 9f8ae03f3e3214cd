"""Test text that runs as text: does it need the program's own process?

Apart from the program, only plain values pass between the two: the text may call functions of the program and look at
what they return. It must share the process if it makes objects of the program's classes, hands functions over, reads a
list that the program was to change in place, or compares identities.
"""

from __future__ import annotations

import ast
import builtins
import sys

from verifiers.code.asserts.conditions import METHOD_NAMES
from verifiers.code.asserts.handing import (
    hands_over_objects,
    immutable_names,
    is_like_a_class,
    looks_for_changes,
    mentions,
    objects_of_modules,
    variable,
)
from verifiers.code.asserts.unittests import condition_of
from verifiers.code.types import TestText
from verifiers.python_source import check_compiles, free_names, tree_of

_OF_THE_PROCESS = (
    "redirect_stdout redirect_stderr capsys capfd monkeypatch patch Mock MagicMock stdin stdout stderr argv environ "
    "globals locals eval inspect assertWarns assertWarnsRegex assertLogs assertNoLogs caplog"
)
_BUILT_IN_TASKS = "abs all any bin divmod filter hex map max min oct ord pow reversed round sorted sum zip"
_SHADOWED = frozenset(_BUILT_IN_TASKS.split())
_PROCESS = frozenset(_OF_THE_PROCESS.split())


def test_text(
    source: str, program_names: frozenset[str], classes: frozenset[str], name: str, *, shared: bool
) -> TestText:
    """The text, with the functions that it takes from the program if it can run apart from it.

    Args:
        program_names: what the program is known to define, built-ins' names included.
        classes: which of these are classes.
        shared: whether it is known to need the program's process.

    Raises SyntaxError.
    """
    check_compiles(source)
    tree = tree_of(source)
    free = free_names(source) | (program_names & _names(tree))
    modules = sorted(free & sys.stdlib_module_names - program_names)
    functions = sorted(free - frozenset(modules) - (frozenset(dir(builtins)) - program_names))
    if modules:
        source = "".join(f"import {module}\n" for module in modules) + source
    objects = classes | {function for function in functions if is_like_a_class(function)} - program_names
    if not functions and not _may_reach_the_program(tree) and not _calls_what_a_program_may_define(tree):
        raise CallsNothing(name)
    shared = shared or not functions or bool(objects & set(functions)) or _needs_the_process(tree, frozenset(functions))
    return TestText(source, () if shared else tuple(functions), name)


class CallsNothing(ValueError):
    """A text that reads no name of the program, so that every program would pass."""


def _may_reach_the_program(tree: ast.Module) -> bool:
    """Whether a text without a name of the program may call it in another way."""
    return any(
        (isinstance(node, ast.Name | ast.Attribute) and (_looks_around(node) or _imports(node)))
        or (
            isinstance(node, ast.Import)
            and any(alias.name in ("__main__", "importlib", "runpy") for alias in node.names)
        )
        for node in ast.walk(tree)
    )


def _calls_what_a_program_may_define(tree: ast.Module) -> bool:
    """`result = sum(10, 15)`: tasks ask for functions that have a built-in's name."""
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _SHADOWED
        for node in ast.walk(tree)
    )


def _imports(node: ast.Name | ast.Attribute) -> bool:
    return (node.id if isinstance(node, ast.Name) else node.attr) in (
        "exec",
        "__import__",
        "modules",
        "import_module",
        "vars",
    )


def _names(tree: ast.AST) -> frozenset[str]:
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def _needs_the_process(tree: ast.Module, functions: frozenset[str]) -> bool:
    helpers = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    callables = set(functions)
    handed = {id(node) for node in ast.walk(tree) if isinstance(node, ast.Call) for node in [node.func]}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in helpers:
            for parameter, argument in _arguments(helpers[node.func.id], node):
                if isinstance(argument, ast.Name) and argument.id in functions:
                    callables.add(parameter)
                    handed.add(id(argument))
        elif isinstance(node, ast.Call) and _is_assert_raises(node):
            handed.update(id(argument) for argument in node.args[:2])
    if any(isinstance(node, ast.Name) and node.id in functions and id(node) not in handed for node in ast.walk(tree)):
        return True  # a function of the program is a value: a base class, an argument of `map`, an exception to catch
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in callables
    ]
    results = _targets(tree, calls)
    return (
        mentions(tree, objects_of_modules(tree))
        or hands_over_objects(tree, calls, functions)
        or any(isinstance(node, ast.Name | ast.Attribute) and _looks_around(node) for node in ast.walk(tree))
        or any(_reads_an_attribute(node, calls, results) for node in ast.walk(tree))
        or any(isinstance(node, ast.Compare) and _compares_identity(node) for node in ast.walk(tree))
        or any(isinstance(node, ast.Call) and _goes_on(node, results) for node in ast.walk(tree))
        or any(isinstance(node, ast.Call) and ast.unparse(node.func) == "open" for node in ast.walk(tree))
        or _reads_after_a_statement(tree, calls)
        or _reads_an_argument_again(tree, calls, results)
    )


def _arguments(definition: ast.FunctionDef, call: ast.Call) -> list[tuple[str, ast.expr]]:
    names = [argument.arg for argument in (*definition.args.posonlyargs, *definition.args.args)]
    return list(zip(names, call.args, strict=False)) + [(word.arg, word.value) for word in call.keywords if word.arg]


def _is_assert_raises(node: ast.Call) -> bool:
    return ast.unparse(node.func) in ("self.assertRaises", "pytest.raises", "raises")


def _goes_on(node: ast.Call, results: set[str]) -> bool:
    """`next(g)` and `g()`, where `g` is what the program returned."""
    if not isinstance(node.func, ast.Name):
        return False
    return node.func.id in results or (
        node.func.id in ("next", "iter")
        and any(isinstance(each, ast.Name) and each.id in results for each in node.args)
    )


def _reads_after_a_statement(tree: ast.Module, calls: list[ast.Call]) -> bool:
    """Whether a call stands by itself, and an argument of it is read elsewhere: the program is to change it."""
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    alone -= {
        id(part.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Try | ast.With)
        for part in node.body
        if isinstance(part, ast.Expr)
    }  # it must raise
    changed: set[str] = set()
    given: set[int] = set()
    for call in calls:
        values = [*call.args, *(keyword.value for keyword in call.keywords)]
        if id(call) in alone:
            changed |= {variable(value) for value in values}
        given |= {id(value) for value in values}
    changed -= {"", *immutable_names(tree)}
    return any(
        id(node) not in given and variable(node) in changed and isinstance(getattr(node, "ctx", None), ast.Load)
        for node in ast.walk(tree)
    )


def _targets(tree: ast.AST, calls: list[ast.Call]) -> set[str]:
    """Names that are bound to what comes of a call of the program."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and _holds(node.value, calls):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return names


def _holds(node: ast.AST, calls: list[ast.Call]) -> bool:
    return any(part is call for part in ast.walk(node) for call in calls)


def _looks_around(node: ast.Name | ast.Attribute) -> bool:
    """What the program prints, reads or finds in its process."""
    return (node.id if isinstance(node, ast.Name) else node.attr) in _PROCESS


def _reads_an_attribute(node: ast.AST, calls: list[ast.Call], results: set[str]) -> bool:
    """`f(x).root`, `stack.push(1)` where `stack = make()`: objects of the program, unless every plain value has it."""
    if not isinstance(node, ast.Attribute) or node.attr in METHOD_NAMES:
        return False
    if isinstance(node.value, ast.Name):
        return node.value.id in results
    return any(node.value is call for call in calls)


def _compares_identity(node: ast.Compare) -> bool:
    """`is` between two values; not with None, True, a type or `type(x)`."""
    parts = [node.left, *node.comparators]
    return any(isinstance(operation, ast.Is | ast.IsNot) for operation in node.ops) and not any(
        isinstance(part, ast.Constant) or _is_built_in(part.func if isinstance(part, ast.Call) else part)
        for part in parts
    )


def _is_built_in(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and hasattr(builtins, node.id)


def _reads_an_argument_again(tree: ast.Module, calls: list[ast.Call], results: set[str]) -> bool:
    """Whether an assert without a call of the program reads a name that was an argument of one: alone, or in a way
    that looks for what was changed in it.
    """
    values = [value for call in calls for value in (*call.args, *(keyword.value for keyword in call.keywords))]
    arguments = {variable(value) for value in values} - {"", *immutable_names(tree)}
    for node in ast.walk(tree):
        condition = node.test if isinstance(node, ast.Assert) else None
        if isinstance(node, ast.Call):
            condition = condition_of(node)
        if condition is None or _holds(condition, calls):
            continue
        names = {variable(part) for part in ast.walk(condition)}
        if names & arguments and (not names & results or looks_for_changes(condition, arguments, results)):
            return True
    return False
