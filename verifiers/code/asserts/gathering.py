"""The cases that one condition of a test asks for."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any

from verifiers.code.asserts.conditions import check_for
from verifiers.code.asserts.handing import looks_for_changes
from verifiers.code.asserts.literals import bindings, value_of
from verifiers.code.asserts.meaning import Names, Pending, Unconvertible
from verifiers.code.asserts.reduction import Reducer
from verifiers.code.comparison.checks import AnyOf
from verifiers.code.comparison.equality import member_key, shown
from verifiers.code.types import Case, Check
from verifiers.sandbox.types import Call

_NEVER_DEFINED = frozenset({"callable", "eval", "exec", "getattr", "globals", "hasattr", "hash", "id", "open", "vars"})
"""Built-ins that no program is asked to define: an assert that calls one looks at the program in another way."""


class NeverHolds(ValueError):
    """An assert that no program can pass."""


class Gathering:
    """The names that are bound in a test, and its cases so far."""

    def __init__(self, names: Names, program_names: frozenset[str]) -> None:
        self.names: Names = {"__name__": "__main__", **names}
        self.program_names = program_names
        self.cases: list[Case] = []
        self.passed: set[str] = set()
        """Names of lists and the like that a call of the program has had as an argument and may have changed."""
        self.statements = 0
        self.rounds = 0
        """Loops and helpers around the current statement: a case is named by its arguments there."""
        self.depth = 0

    def nested(self, names: Names, body: Sequence[ast.stmt]) -> None:
        """Walks through a body in which these are all the names that are known."""
        raise NotImplementedError

    def condition(self, test: ast.expr) -> None:
        """Gathers the cases of one condition that must hold."""
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            for part in test.values:
                self.condition(part)
            return
        if (parts := self._all(test)) is not None:
            for part, names in parts:
                self.nested(self.names | names, [ast.copy_location(ast.Assert(part, None), test)])
            return
        if isinstance(test, ast.BoolOp) and self._either(test):
            return
        if isinstance(test, ast.Compare) and (pairs := self._each(test)) is not None:
            for part, names in pairs:
                self.nested(self.names | names, [ast.copy_location(ast.Assert(part, None), test)])
            return
        reducer = self.reducer()
        expression = reducer.visit(test)
        calls = reducer.calls
        if not calls and (function := self._shadowing(test)):
            reducer = Reducer(self.names, self.program_names | {function})
            expression = reducer.visit(test)
            calls = reducer.calls
        if not calls:
            if self.passed & _names_in(test):
                raise Unconvertible("the test reads an argument after the call", shared=True)
            if not value_of(expression):
                raise NeverHolds(f"no program can pass `{text_of(test)}`")
            return
        if not reducer.handed and looks_for_changes(test, self.passed, self._results()):
            raise Unconvertible("the test looks for what a call changed in its argument", shared=True)
        if any(call is not calls[0] for call in calls):
            raise Unconvertible("several calls of the program in one condition")
        self.passed |= reducer.handed
        self.add(calls[0], check_for(expression, text_of(test)), ast.Assert(test))

    def _results(self) -> set[str]:
        return {name for name, value in self.names.items() if isinstance(value, Pending)}

    def _either(self, test: ast.BoolOp) -> bool:
        """Takes `f(1) == 2 or f(1) == 3`, several conditions on one call that is written several times."""
        reducers = [self.reducer() for _ in test.values]
        expressions = [reducer.visit(part) for reducer, part in zip(reducers, test.values, strict=True)]
        if any(len(reducer.calls) != 1 for reducer in reducers):
            return False
        calls = [reducer.calls[0] for reducer in reducers]
        if len({member_key([call.function, list(call.args), call.kwargs]) for call in calls}) > 1:
            return False
        for reducer in reducers:
            self.passed |= reducer.handed
        checks = [
            check_for(expression, text_of(part)) for expression, part in zip(expressions, test.values, strict=True)
        ]
        self.add(calls[0], AnyOf(tuple(checks)), ast.Assert(test))
        return True

    def _each(self, test: ast.Compare) -> list[tuple[ast.expr, Names]] | None:
        """The conditions of `[f(x) for x in xs] == values`, for known xs and values of the same number."""
        left, right = test.left, test.comparators[0]
        if len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq) or not isinstance(left, ast.ListComp):
            return None
        generator = left.generators[0]
        if (
            len(left.generators) != 1
            or generator.ifs
            or not self._is_known(generator.iter)
            or not self._is_known(right)
        ):
            return None
        items, values = list(self.items(generator.iter)), self.known(right)
        if not isinstance(values, list) or len(values) != len(items):
            return None
        return [
            (ast.Compare(left.elt, [ast.Eq()], [ast.Constant(value)]), bindings(generator.target, item))
            for item, value in zip(items, values, strict=True)
        ]

    def _is_known(self, node: ast.expr) -> bool:
        reducer = self.reducer()
        reducer.visit(node)
        return not reducer.calls

    def _all(self, test: ast.expr) -> list[tuple[ast.expr, Names]] | None:
        """The conditions of `all([...])` and of `all(... for ... in values)`, with the names of each."""
        if not isinstance(test, ast.Call) or not isinstance(test.func, ast.Name) or test.func.id != "all":
            return None
        if "all" in self.names or len(test.args) != 1:
            return None
        items = test.args[0]
        if isinstance(items, ast.List | ast.Tuple):
            return [(item, {}) for item in items.elts]
        if isinstance(items, ast.ListComp | ast.GeneratorExp) and len(items.generators) == 1:
            generator = items.generators[0]
            if self._is_known(generator.iter) and not generator.ifs:
                return [(items.elt, bindings(generator.target, item)) for item in self.items(generator.iter)]
        return None

    def _shadowing(self, test: ast.expr) -> str:
        """The built-in that an assert without any other call tests: the program has a function of that name."""
        left = test.left if isinstance(test, ast.Compare) else test
        if isinstance(left, ast.UnaryOp):
            left = left.operand
        if self.program_names or not isinstance(left, ast.Call) or not isinstance(left.func, ast.Name):
            return ""
        return "" if left.func.id in self.names or left.func.id in _NEVER_DEFINED else left.func.id

    def add(self, call: Call, check: Check, node: ast.AST) -> None:
        name = text_of(node)
        if self.rounds:
            arguments = [shown(value) for value in call.args]
            arguments += [f"{word}={shown(value)}" for word, value in call.kwargs.items()]
            name = f"{name}, {call.function}({', '.join(arguments)[:160]})"
        self.cases.append(Case(call, check, name=name))

    def reducer(self) -> Reducer:
        return Reducer(self.names, self.program_names)

    def known(self, node: ast.expr) -> Any:
        reducer = self.reducer()
        result = reducer.visit(node)
        if reducer.calls:
            raise Unconvertible("the way through the test depends on what the program returns")
        return value_of(result)

    def items(self, node: ast.expr) -> Iterator[Any]:
        return iter(self.known(node))


def _names_in(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def text_of(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 160 else text[:157] + "..."
