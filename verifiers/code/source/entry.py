"""Where a program has the function that the tests name: at its top, or in LeetCode's class `Solution`."""

from __future__ import annotations

import ast
from dataclasses import replace

from verifiers.code.types import Case, CodeTests
from verifiers.python_source import UNPARSABLE, tree_of
from verifiers.sandbox.types import Call


def at_entry(tests: CodeTests, program: str) -> CodeTests:
    """The tests with "Solution.f" for "f" where the program defines f in its class Solution alone."""
    methods = _only_methods(program)
    if not methods:
        return tests
    return replace(tests, cases=tuple(_at_entry(case, methods) for case in tests.cases))


def _at_entry(case: Case, methods: frozenset[str]) -> Case:
    if isinstance(case.input, Call) and case.input.function in methods:
        return replace(case, input=replace(case.input, function=f"Solution.{case.input.function}"))
    return case


def _only_methods(program: str) -> frozenset[str]:
    if "class Solution" not in program:
        return frozenset()
    try:
        body = tree_of(program).body
    except UNPARSABLE:
        return frozenset()
    methods: set[str] = set()
    names: set[str] = set()
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name == "Solution":
            methods |= {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return frozenset(methods - names)
