"""Walks through the text of a test and gathers a case for each assert. Nothing of the text is executed.

What it understands: asserts, names bound to values, imports of the standard library, loops over values, `if` on values,
helper functions, `check(candidate)`, test functions and `unittest` classes, `try`/`except` and `with raises`. Anything
else raises Unconvertible, and the text runs as text.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from verifiers.code.comparison import Raises
from verifiers.code.conditions import check_for, has_hole
from verifiers.code.evalplus import comparison_helper
from verifiers.code.literals import FAILURES, bindings, value_of
from verifiers.code.pure_functions import UNPACKED
from verifiers.code.raising import expected_exceptions, raising_statement
from verifiers.code.reduction import Helper, Instance, Module, Names, Pending, Program, Reducer, Unconvertible, Unknown
from verifiers.code.types import Case, Check
from verifiers.code.unittests import UNITTEST, condition_of
from verifiers.sandbox.types import Call

MAX_CASES = 5_000
MAX_STATEMENTS = 100_000


class NeverHolds(ValueError):
    """An assert that no program can pass."""


class Walk:
    """The state of one walk: the names that are bound, and the cases so far."""

    def __init__(self, names: Names, program_names: frozenset[str]) -> None:
        self.names: Names = {"__name__": "__main__", **names}
        self.program_names = program_names
        self.cases: list[Case] = []
        self.passed: set[str] = set()
        """Names of lists and the like that a call of the program has had as an argument and may have changed."""
        self.invoked: set[str] = set()
        """Helpers that the text calls itself."""
        self.statements = 0
        self.depth = 0

    def block(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        """Raises Unconvertible, NeverHolds."""
        self.statements += 1
        if self.statements > MAX_STATEMENTS or len(self.cases) > MAX_CASES:
            raise Unconvertible("the test is too long")
        visit: Callable[[Any], None] | None = getattr(self, f"_{type(node).__name__.lower()}", None)
        if visit is None:
            raise Unconvertible(f"a {type(node).__name__} statement")
        try:
            visit(node)
        except FAILURES as error:
            if isinstance(error, NeverHolds):
                raise
            raise Unconvertible(f"{type(error).__name__}: {error}") from None

    # Statements

    def _pass(self, node: ast.Pass) -> None: ...

    def _assert(self, node: ast.Assert) -> None:
        self.condition(node.test)

    def _expr(self, node: ast.Expr) -> None:
        value = node.value
        if isinstance(value, ast.Constant | ast.Name):
            return
        if isinstance(value, ast.Call):
            if isinstance(value.func, ast.Name) and value.func.id == "print" and "print" not in self.names:
                if not self._calls(value.args):
                    return
            elif (condition := condition_of(value)) is not None:
                self.condition(condition)
                return
            elif (raising := raising_statement(value)) is not None:
                self.add(self.call_in(raising[1]), Raises(raising[0]), value)
                return
            elif self.helper(value):
                return
        raise Unconvertible("a call of the program stands by itself")

    def _calls(self, nodes: list[ast.expr]) -> bool:
        reducer = self.reducer()
        for node in nodes:
            reducer.visit(node)
        return bool(reducer.calls)

    def _assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self.bind(target, node.value)

    def _annassign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.bind(node.target, node.value)

    def _augassign(self, node: ast.AugAssign) -> None:
        if not isinstance(node.target, ast.Name):
            raise Unconvertible("an assignment to other than a name")
        left = ast.Name(node.target.id, ast.Load())
        self.bind(node.target, ast.BinOp(left, node.op, node.value))

    def bind(self, target: ast.expr, expression: ast.expr) -> None:
        reducer = self.reducer()
        try:
            value = reducer.bound(expression)
        except FAILURES as error:
            value = Unknown(f"{type(error).__name__}: {error}")
        except Unconvertible as error:
            if error.shared:
                raise
            value = Unknown(str(error))
        if isinstance(value, Pending | Unknown) and isinstance(target, ast.Tuple):
            self._bind_parts(target, value)
        elif isinstance(target, ast.Name):
            self.names[target.id] = value
            self.passed.discard(target.id)
        elif isinstance(value, Pending | Program | Instance | Module | Helper | Unknown):
            raise Unconvertible("an assignment to other than names")
        else:
            self.names |= bindings(target, value)
        self.passed |= reducer.handed

    def _bind_parts(self, target: ast.Tuple, value: Pending | Unknown) -> None:
        for i, part in enumerate(target.elts):
            if not isinstance(part, ast.Name):
                raise Unconvertible("an assignment to other than names")
            if isinstance(value, Unknown):
                self.names[part.id] = value
                continue
            items = ast.Call(ast.Name(UNPACKED, ast.Load()), [value.expression, ast.Constant(len(target.elts))], [])
            self.names[part.id] = Pending(value.call, ast.Subscript(items, ast.Constant(i), ast.Load()))

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.names[alias.asname or alias.name.split(".")[0]] = Module(
                alias.name if alias.asname else alias.name.split(".")[0]
            )

    def _importfrom(self, node: ast.ImportFrom) -> None:
        if node.module == "__future__":
            return
        for alias in node.names:
            if alias.name == "*" or node.level or not node.module:
                raise Unconvertible("an import of all names")
            self.names[alias.asname or alias.name] = Module(f"{node.module}.{alias.name}")

    def _functiondef(self, node: ast.FunctionDef) -> None:
        self.names[node.name] = Helper(node)

    def _classdef(self, node: ast.ClassDef) -> None:
        bases = [ast.unparse(base) for base in node.bases]
        if not set(bases) & UNITTEST:
            raise Unconvertible(f"the test defines the class {node.name}")
        methods = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}
        for name, method in methods.items():
            if name.startswith("test"):
                setup = methods["setUp"].body if "setUp" in methods else []
                self.nested({}, [*setup, *method.body])

    def _if(self, node: ast.If) -> None:
        self.block(node.body if self.known(node.test) else node.orelse)

    def _for(self, node: ast.For) -> None:
        if node.orelse:
            raise Unconvertible("a loop with `else`")
        for item in self.items(node.iter):
            self.names |= bindings(node.target, item)
            self.block(node.body)

    def _try(self, node: ast.Try) -> None:
        names, statement = expected_exceptions(node)
        self.add(self.call_in(statement), Raises(names), node)

    def _with(self, node: ast.With) -> None:
        names, statement = expected_exceptions(node)
        if names == ("subTest",):
            self.block(node.body)
            return
        self.add(self.call_in(statement), Raises(names), node)

    # Conditions

    def condition(self, test: ast.expr) -> None:
        """Gathers the cases of one condition that must hold."""
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            for part in test.values:
                self.condition(part)
            return
        if (parts := self._all(test)) is not None:
            for part, names in parts:
                self.nested(names, [ast.copy_location(ast.Assert(part, None), test)])
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
                raise NeverHolds(f"no program can pass `{_text(test)}`")
            return
        if any(call is not calls[0] for call in calls):
            raise Unconvertible("several calls of the program in one condition")
        self.passed |= reducer.handed
        self.add(calls[0], check_for(expression, _text(test)), test)

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
            reducer = self.reducer()
            reducer.visit(generator.iter)
            if not reducer.calls and not generator.ifs:
                return [(items.elt, bindings(generator.target, item)) for item in self.items(generator.iter)]
        return None

    def _shadowing(self, test: ast.expr) -> str:
        """The built-in that an assert without any other call tests: the program has a function of that name."""
        left = test.left if isinstance(test, ast.Compare) else test
        if isinstance(left, ast.UnaryOp):
            left = left.operand
        if self.program_names or not isinstance(left, ast.Call) or not isinstance(left.func, ast.Name):
            return ""
        return "" if left.func.id in self.names else left.func.id

    def add(self, call: Call, check: Check, node: ast.AST) -> None:
        self.cases.append(Case(call, check, name=_text(node)))

    def call_in(self, statement: ast.expr | ast.stmt) -> Call:
        """The one call of the program in a statement. Raises Unconvertible."""
        expression = statement.value if isinstance(statement, ast.Expr | ast.Assign) else statement
        if not isinstance(expression, ast.expr):
            raise Unconvertible("a statement that must raise is not an expression")
        reducer = self.reducer()
        result = reducer.visit(expression)
        if len(reducer.calls) != 1 or not has_hole(result):
            raise Unconvertible("a statement that must raise calls the program other than once")
        return reducer.calls[0]

    # Helpers

    def helper(self, node: ast.Call) -> bool:
        """Walks through the body of a helper of the test text that is called as a statement."""
        function = self.reducer().owner(node.func)
        if not isinstance(function, Helper):
            return False
        definition = function.definition
        self.invoked.add(definition.name)
        if self.depth > 20:
            raise Unconvertible(f"the helper {definition.name} calls itself")
        arguments = self.reducer().arguments(definition, node)
        check = comparison_helper(definition, arguments)
        if check is not None:
            pending = next(value for value in arguments.values() if isinstance(value, Pending))
            self.add(pending.call, check, node)
            return True
        self.nested(arguments, definition.body)
        return True

    def nested(self, names: Names, body: Sequence[ast.stmt]) -> None:
        """Walks through a body with names of its own."""
        outer = self.names
        self.names = outer | names
        self.depth += 1
        try:
            self.block(body[:-1] if body and _returns_nothing(body[-1]) else body)
        finally:
            self.names = outer
            self.depth -= 1

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


def _returns_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Return) and (node.value is None or isinstance(node.value, ast.Constant))


def _names_in(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _text(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 160 else text[:157] + "..."
