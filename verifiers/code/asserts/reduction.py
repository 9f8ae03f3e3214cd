"""An expression of a test with what is known put in, and each call of the program replaced by a name.

`abs(candidate(xs) - sum(xs) / 3) < eps`, where `xs = [1.0, 2.0, 3.0]` and `eps = 1e-6` stand above it in the test,
becomes the call `candidate([1.0, 2.0, 3.0])` and the condition `abs(_result_ - sum([1.0, 2.0, 3.0]) / 3) < 1e-06`.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from verifiers.code.asserts.conditions import plain
from verifiers.code.asserts.holds import HOLE
from verifiers.code.asserts.literals import NotPlain, value_of
from verifiers.code.asserts.meaning import (
    BuiltIn,
    Helper,
    Instance,
    Module,
    Names,
    Pending,
    Program,
    Unconvertible,
    Unknown,
)
from verifiers.code.asserts.tables import APPROX, CONSTANTS, FUNCTIONS
from verifiers.sandbox.types import Call

MAX_INLINED = 20


@dataclass(slots=True)
class Reduction:
    """What one expression came to."""

    expression: ast.expr
    calls: list[Call] = field(default_factory=list)

    @property
    def call(self) -> Call | None:
        """The one call of the program in it. Raises Unconvertible if there are several."""
        if not self.calls:
            return None
        first = self.calls[0]
        if any(other is not first for other in self.calls):
            raise Unconvertible("several calls of the program in one condition")
        return first


def reduced(expression: ast.expr, names: Names, program_names: frozenset[str] = frozenset()) -> Reduction:
    """The expression with the names of the test put in. Raises Unconvertible, and what `literals.FAILURES` lists."""
    reducer = Reducer(names, program_names)
    return Reduction(reducer.visit(expression), reducer.calls)


class Reducer(ast.NodeTransformer):
    """Builds new nodes throughout: the test's tree is walked again in each round of a loop."""

    def __init__(self, names: Names, program_names: frozenset[str], depth: int = 0) -> None:
        self.names, self.program_names, self.depth = names, program_names, depth
        self.calls: list[Call] = []
        self.handed: set[str] = set()
        """Names of lists and the like that are arguments of the program, which may change them."""
        self.local: frozenset[str] = frozenset()

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """A copy of the node with its children visited."""
        fields: dict[str, Any] = {}
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                fields[name] = [self.visit(item) if isinstance(item, ast.AST) else item for item in value]
            else:
                fields[name] = self.visit(value) if isinstance(value, ast.AST) else value
        return ast.copy_location(type(node)(**fields), node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if not isinstance(node.ctx, ast.Load) or node.id in self.local or node.id == APPROX:
            return node
        value = self.lookup(node.id)
        if isinstance(value, Pending):
            self.calls.append(value.call)
            return value.expression
        if isinstance(value, Module):
            return ast.Name(value.name, ast.Load())
        if isinstance(value, Unknown):
            raise Unconvertible(value.reason, shared=value.shared)
        if isinstance(value, Program | Instance | Helper):
            raise Unconvertible(f"{node.id} is a function that is not called here", shared=True)
        if isinstance(value, BuiltIn):
            return ast.Name(node.id, ast.Load())
        return ast.Constant(value)

    def lookup(self, name: str) -> Any:
        """What a name of the test stands for. A name that nothing binds is the program's, or a built-in's."""
        if name in self.names:
            return self.names[name]
        if name not in self.program_names:
            if hasattr(builtins, name):
                return BuiltIn()
            if name in sys.stdlib_module_names:
                return Module(name)
        return Program(name)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        owner = self.owner(node)
        if isinstance(owner, Module):
            if owner.name in CONSTANTS or owner.name in FUNCTIONS:
                return ast.Name(owner.name, ast.Load())
            raise Unconvertible(f"{owner.name} cannot be computed here")
        if isinstance(owner, Program):
            raise Unconvertible(f"{owner.function} is a function that is not called here", shared=True)
        return self.generic_visit(node)

    def owner(self, node: ast.expr) -> Any:
        """What `a.b` is: a Module ("math.pi"), a Program ("Solution.f"), or None for a method of a value."""
        if isinstance(node, ast.Name) and node.id not in self.local:
            value = self.lookup(node.id)
            return value if isinstance(value, Module | Instance | Program | Helper) else None
        if isinstance(node, ast.Attribute):
            outer = self.owner(node.value)
            if isinstance(outer, Module):
                return Module(f"{outer.name}.{node.attr}")
            if isinstance(outer, Instance):
                return Program(f"{outer.name}.{node.attr}")
            if isinstance(outer, Program):
                raise Unconvertible(f"an attribute of {outer.function}", shared=True)
            return outer
        if isinstance(node, ast.Call) and is_instance_of_solution(node, self.names):
            return Instance("Solution")
        return None

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq):
            for near, other in ((node.comparators[0], node.left), (node.left, node.comparators[0])):
                if isinstance(near, ast.Call) and self.owner(near.func) == Module("pytest.approx"):
                    call = ast.Call(ast.Name(APPROX, ast.Load()), [other, *near.args], near.keywords)
                    return self.generic_visit(call)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == APPROX:
            return self.generic_visit(node)
        function = self.owner(node.func)
        if isinstance(function, Program):
            return self.program_call(function.function, node)
        if isinstance(function, Instance) or self.is_pending(node.func):
            raise Unconvertible("an object of the program is called", shared=True)
        if isinstance(node.func, ast.Name) and node.func.id == "next" and self._goes_on(node):
            raise Unconvertible("an iterator of the program goes on", shared=True)
        if isinstance(function, Helper):
            return self.inlined(function, node)
        if isinstance(function, Module) and function.name not in FUNCTIONS:
            raise Unconvertible(f"{function.name} cannot be computed here", shared=not _returns_plain(function.name))
        return self.generic_visit(node)

    def _goes_on(self, node: ast.Call) -> bool:
        """`next(g)`, where `g` is bound to what the program returned; `next(f(3))` is the first item of a new one."""
        return any(isinstance(argument, ast.Name) and self.is_pending(argument) for argument in node.args)

    def is_pending(self, node: ast.expr) -> bool:
        """Whether this is what a call of the program returned."""
        if isinstance(node, ast.Call):
            return isinstance(self.owner(node.func), Program)
        return isinstance(node, ast.Name) and isinstance(self.names.get(node.id), Pending)

    def program_call(self, function: str, node: ast.Call) -> ast.expr:
        args: list[Any] = []
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            if isinstance(argument, ast.Name) and isinstance(self.names.get(argument.id), list | dict | set):
                self.handed.add(argument.id)
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                args.extend(self.known(argument.value))
            else:
                args.append(self.known(argument))
        kwargs: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.known(keyword.value)
            kwargs.update({keyword.arg: value} if keyword.arg else value)
        try:
            call = Call(function, tuple(plain(item, "an argument") for item in args),
                        {name: plain(item, "an argument") for name, item in kwargs.items()})  # fmt: skip
        except NotPlain as error:
            raise Unconvertible(str(error), shared=True) from None
        self.calls.append(call)
        return ast.Name(HOLE, ast.Load())

    def known(self, node: ast.expr) -> Any:
        """The value of an argument of the program. Raises Unconvertible."""
        if isinstance(node, ast.Lambda):
            raise Unconvertible("a function is handed to the program", shared=True)
        if self.local & {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}:
            raise Unconvertible("the program is called in a comprehension")
        inner = reduced(node, self.names, self.program_names)
        if inner.calls:
            raise Unconvertible("a call of the program is the argument of another")
        return value_of(inner.expression)

    def inlined(self, helper: Helper, node: ast.Call) -> ast.expr:
        """The value of a helper that only returns an expression."""
        definition = helper.definition
        body = definition.body[1:] if ast.get_docstring(definition, clean=False) is not None else definition.body
        if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None or definition.decorator_list:
            raise Unconvertible(f"the helper {definition.name} does more than return an expression")
        if self.depth >= MAX_INLINED:
            raise Unconvertible(f"the helper {definition.name} calls itself")
        inner = Reducer(helper.names | self.arguments(definition, node), self.program_names, self.depth + 1)
        expression = inner.visit(body[0].value)
        self.calls.extend(inner.calls)
        self.handed |= inner.handed
        return expression

    def arguments(self, definition: ast.FunctionDef, node: ast.Call) -> Names:
        """The parameters of a helper with their values: known, or Pending. Raises Unconvertible."""
        return {name: self.bound(value) for name, value in matched(definition, node).items()}

    def bound(self, node: ast.expr) -> Any:
        """What a name gets that is bound to this expression."""
        owner = self.owner(node)
        if owner is not None and not (isinstance(owner, Module) and owner.name in CONSTANTS):
            return owner
        inner = Reducer(self.names, self.program_names, self.depth)
        inner.local = self.local
        result = Reduction(inner.visit(node), inner.calls)
        self.handed |= inner.handed
        call = result.call
        if call is not None:
            return Pending(call, result.expression)
        return value_of(result.expression)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return self.inside({argument.arg for argument in (*node.args.posonlyargs, *node.args.args)}, node)

    def comprehension(self, node: Any) -> ast.AST:
        targets = {
            part.id
            for generator in node.generators
            for part in ast.walk(generator.target)
            if isinstance(part, ast.Name)
        }
        return self.inside(targets, node)

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = comprehension

    def inside(self, names: set[str], node: ast.AST) -> ast.AST:
        outer, self.local = self.local, self.local | names
        try:
            return self.generic_visit(node)
        finally:
            self.local = outer


def is_instance_of_solution(node: ast.Call, names: Mapping[str, Any]) -> bool:
    """`Solution()`, LeetCode's class, made without arguments."""
    return (
        isinstance(node.func, ast.Name)
        and node.func.id == "Solution"
        and not isinstance(names.get("Solution"), Helper)
        and not node.args
        and not node.keywords
    )


def matched(definition: ast.FunctionDef, node: ast.Call) -> dict[str, ast.expr]:
    """The expression for each parameter of a helper. Raises Unconvertible for what has no plain order."""
    parameters = definition.args
    names = [argument.arg for argument in (*parameters.posonlyargs, *parameters.args)]
    values = dict(zip(reversed(names), reversed(parameters.defaults), strict=False))
    if parameters.vararg or parameters.kwarg or parameters.kwonlyargs or len(node.args) > len(names):
        raise Unconvertible(f"the parameters of the helper {definition.name}")
    for name, argument in zip(names, node.args, strict=False):
        if isinstance(argument, ast.Starred):
            raise Unconvertible(f"the arguments of the helper {definition.name}")
        values[name] = argument
    values |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    if set(values) != set(names):
        raise Unconvertible(f"the arguments of the helper {definition.name}")
    return values


def _returns_plain(name: str) -> bool:
    return name.split(".")[0] in ("random", "math", "cmath", "copy", "string", "operator", "json", "re", "sys", "time")
