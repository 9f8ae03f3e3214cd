"""Walks through the text of a test and gathers a case for each assert. Nothing of the text is executed.

What it understands: asserts, names bound to values, imports of the standard library, loops over values, `if` on values,
helper functions, `check(candidate)`, test functions and `unittest` classes, `try`/`except` and `with raises`. Anything
else raises Unconvertible, and the text runs as text.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Sequence
from typing import Any

from verifiers.code.asserts.conditions import has_hole
from verifiers.code.asserts.gathering import Gathering, NeverHolds
from verifiers.code.asserts.literals import FAILURES, bindings, value_of
from verifiers.code.asserts.meaning import Helper, Instance, Module, Names, Pending, Program, Unconvertible, Unknown
from verifiers.code.asserts.raising import expected_exceptions, raising_statement
from verifiers.code.asserts.tables import UNPACKED
from verifiers.code.asserts.unittests import SETUPS, condition_of, test_classes, without_self
from verifiers.code.comparison.checks import Raises
from verifiers.code.formats.evalplus import comparison_helper
from verifiers.sandbox.types import Call

MAX_CASES = 5_000
MAX_STATEMENTS = 100_000


WITHOUT_EFFECT_HERE = frozenset(
    {
        "random.seed",
        "np.random.seed",
        "numpy.random.seed",
        "sys.setrecursionlimit",
        "gc.collect",
        "warnings.simplefilter",
    }
)
"""Calls by themselves that change no value of the test, which is not random if it can be computed at all."""


class _NextRound(Exception):
    """`continue`"""


class _EndOfLoop(Exception):
    """`break`"""


class Walk(Gathering):
    """One walk through the statements of a text."""

    test_classes: list[ast.ClassDef]

    def script(self, script: ast.Module) -> None:
        """All of a text. Raises Unconvertible, NeverHolds."""
        self.test_classes = test_classes(script)
        self.block(script.body)

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
            elif ast.unparse(value.func) in WITHOUT_EFFECT_HERE:
                return
            elif (condition := condition_of(self._with_known_items(value))) is not None:
                self.condition(condition)
                return
            elif (raising := raising_statement(value)) is not None:
                self.add(self.call_in(raising[1]), Raises(raising[0]), value)
                return
            elif ast.unparse(value.func).startswith("self.assert"):
                raise Unconvertible(f"{ast.unparse(value.func)} of unittest")
            elif self.helper(value):
                return
        raise Unconvertible("a call of the program stands by itself")

    def _with_known_items(self, node: ast.Call) -> ast.Call:
        """`self.assertCountEqual(f(x), expected)` with the value of `expected`: not all items have an order."""
        if not isinstance(node.func, ast.Attribute) or node.func.attr != "assertCountEqual" or len(node.args) < 2:
            return node
        args: list[ast.expr] = []
        for argument in node.args:
            reducer = self.reducer()
            expression = reducer.visit(argument)
            args.append(argument if reducer.calls else ast.Constant(value_of(expression)))
        return ast.copy_location(ast.Call(node.func, args, node.keywords), node)

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
        if isinstance(expression, ast.Lambda) and isinstance(target, ast.Name):
            self.names[target.id] = Helper(_named(target.id, expression), self.names)
            return
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
            if node.level or not node.module or (alias.name == "*" and node.module not in ("math", "typing")):
                raise Unconvertible("an import of all names")
            if alias.name == "*":
                self.names |= {name: Module(f"{node.module}.{name}") for name in dir(sys.modules[node.module])}
                continue
            self.names[alias.asname or alias.name] = Module(f"{node.module}.{alias.name}")

    def _functiondef(self, node: ast.FunctionDef) -> None:
        self.names[node.name] = Helper(node, self.names)

    def _classdef(self, node: ast.ClassDef) -> None:
        if node not in self.test_classes:
            self.names[node.name] = Unknown(f"an object of the test's class {node.name}", shared=True)
            return
        if {ast.unparse(base) for base in node.bases} & {each.name for each in self.test_classes}:
            raise Unconvertible(f"{node.name} has the tests of another class")
        methods: dict[str, ast.FunctionDef] = {}
        for part in node.body:
            if isinstance(part, ast.AsyncFunctionDef):
                raise Unconvertible(f"{node.name}.{part.name} is asynchronous", shared=True)
            if isinstance(part, ast.FunctionDef) and (part.name.startswith("test") or part.name in SETUPS):
                methods[part.name] = part
            elif not isinstance(part, ast.Pass | ast.Expr):
                raise Unconvertible(f"{node.name} has more than tests")
        setup = [statement for name in SETUPS if name in methods for statement in methods[name].body]
        for name, method in methods.items():
            if name.startswith("test"):
                if method.decorator_list or len(method.args.args) != 1:
                    raise Unconvertible(f"the parameters of {name}")
                self.nested(dict(self.names), without_self([*setup, *method.body]))

    def _if(self, node: ast.If) -> None:
        self.block(node.body if self.known(node.test) else node.orelse)

    def _for(self, node: ast.For) -> None:
        if node.orelse:
            raise Unconvertible("a loop with `else`")
        for item in self.items(node.iter):
            self.names |= bindings(node.target, item)
            self.rounds += 1
            try:
                self.block(node.body)
            except _NextRound:
                continue
            except _EndOfLoop:
                break
            finally:
                self.rounds -= 1

    def _continue(self, node: ast.Continue) -> None:
        raise _NextRound

    def _break(self, node: ast.Break) -> None:
        raise _EndOfLoop

    def _try(self, node: ast.Try) -> None:
        names, statement = expected_exceptions(node)
        self.add(self.call_in(statement), Raises(names), node)

    def _with(self, node: ast.With) -> None:
        names, statement = expected_exceptions(node)
        if names == ("subTest",):
            self.block(node.body)
            return
        self.add(self.call_in(statement), Raises(names), node)

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
        if self.depth > 20:
            raise Unconvertible(f"the helper {definition.name} calls itself")
        arguments = self.reducer().arguments(definition, node)
        check = comparison_helper(definition, arguments)
        if check is not None:
            pending = next(value for value in arguments.values() if isinstance(value, Pending))
            self.add(pending.call, check, node)
            return True
        self.nested(function.names | arguments, definition.body)
        return True

    def nested(self, names: Names, body: Sequence[ast.stmt]) -> None:
        outer = self.names
        self.names = names
        self.depth += 1
        try:
            self.block(body[:-1] if body and _returns_nothing(body[-1]) else body)
        finally:
            self.names = outer
            self.depth -= 1


def _named(name: str, function: ast.Lambda) -> ast.FunctionDef:
    """`name = lambda ...` as a function."""
    return ast.FunctionDef(name, function.args, [ast.Return(function.body)], [])


def _returns_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Return) and (node.value is None or isinstance(node.value, ast.Constant))
