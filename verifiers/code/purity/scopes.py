"""Which names a Python program binds, where, and to what. For `verifiers.code.purity`.

A function, a lambda and a comprehension are scopes of their own. A name is looked up as Python does it: in the scope
itself, in the functions around it, in the module, among the built-in names. The names of a class body are seen there
alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
IMPORTS = (ast.Import, ast.ImportFrom)
_DEFINITIONS = frozenset({*FUNCTIONS, ast.ClassDef})
_NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
_BINDERS = frozenset({ast.Name, *_NAMED, *IMPORTS, ast.MatchMapping, ast.Nonlocal})
_COMPREHENSIONS = frozenset({ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp})


_NO_NODES = frozenset({
    "arg", "asname", "attr", "conversion", "ctx", "id", "is_async", "kind", "kwd_attrs", "level", "module", "name",
    "op", "ops", "rest", "simple", "tag", "type_comment",
})  # fmt: skip
_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {
    ast.Constant: (),
    ast.MatchSingleton: (),
    ast.Global: (),
    ast.Nonlocal: (),
}
"""The fields of each class of nodes that hold nodes, but for contexts and operators."""


_BELOW = "reasonrl_below"


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below this one, in order, but for contexts and operators. Noted in the node: they are asked for
    several times.
    """
    known: list[ast.AST] | None = node.__dict__.get(_BELOW)
    if known is not None:
        return known
    kind = type(node)
    names = _FIELDS.get(kind)
    if names is None:
        names = _FIELDS[kind] = tuple(name for name in kind._fields if name not in _NO_NODES)
    below: list[ast.AST] = []
    for name in names:
        value = getattr(node, name, None)
        if type(value) is list:
            below += filter(None, value)
        elif value is not None:
            below.append(value)
    node.__dict__[_BELOW] = below
    return below


def all_nodes(tree: ast.AST) -> list[ast.AST]:
    """The node and all below it, as far as `children` names them."""
    nodes = [tree]
    for node in nodes:
        nodes += children(node)
    return nodes


@dataclass(frozen=True, slots=True)
class Import:
    """What an import binds: a module, or with `name` something of it."""

    module: str
    name: str = ""


@dataclass(slots=True)
class Scope:
    """The names that are bound in one scope, each with all nodes or imports that bind it."""

    parent: Scope | None
    kind: Literal["module", "function", "comprehension", "class"] = "function"
    names: dict[str, list[ast.AST | Import]] = field(default_factory=dict)

    def bind(self, name: str, binder: ast.AST | Import) -> None:
        self.names.setdefault(name, []).append(binder)

    def owner(self, name: str) -> Scope | None:
        """The scope that a name of this scope belongs to; None if no scope binds it."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names and (scope is self or scope.kind != "class"):
                return scope
            scope = scope.parent
        return None

    @property
    def is_module(self) -> bool:
        return self.parent is None

    @property
    def runs_once(self) -> bool:
        """Whether its code runs before all calls: the module's own, without its functions."""
        return self.is_module or (
            self.kind in ("comprehension", "class") and self.parent is not None and self.parent.runs_once
        )


def module_scope(tree: ast.Module) -> Scope:
    scope = Scope(None, "module")
    _bind_all(tree.body, scope)
    return scope


def function_scope(node: Function, parent: Scope) -> Scope:
    scope = Scope(parent)
    arguments = node.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if argument is not None:
            scope.bind(argument.arg, argument)
    if isinstance(node, ast.Lambda):
        _bind_all([node.body], scope)
        return scope
    for name in _bind_all(node.body, scope):
        scope.names.pop(name, None)
    return scope


def comprehension_scope(node: Comprehension, parent: Scope) -> Scope:
    scope = Scope(parent, "comprehension")
    for generator in node.generators:
        for each in ast.walk(generator.target):
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                scope.bind(each.id, each)
    return scope


def class_scope(node: ast.ClassDef, parent: Scope) -> Scope:
    scope = Scope(parent, "class")
    _bind_all(node.body, scope)
    return scope


def local_nodes(body: list[ast.stmt] | list[ast.expr]) -> Iterator[ast.AST]:
    """All nodes of a body but those inside the functions and classes that it defines. Of comprehensions those alone
    that may bind a name outside them: `:=`.
    """
    stack: list[tuple[ast.AST, bool]] = [(node, False) for node in reversed(body)]
    while stack:
        node, in_comprehension = stack.pop()
        kind = type(node)  # as the parser makes it: never of a class below
        if not in_comprehension or kind is ast.NamedExpr:
            yield node
        if isinstance(node, ast.NamedExpr):
            yield node.target
            stack.append((node.value, in_comprehension))
        elif kind not in _DEFINITIONS:
            if below := children(node):
                inside = in_comprehension or kind in _COMPREHENSIONS
                stack += [(child, inside) for child in reversed(below)]
        else:  # decorators, defaults and bases belong to the scope around
            stack.extend((child, in_comprehension) for child in outer_expressions(node))


def outer_expressions(node: ast.AST) -> list[ast.expr]:
    """What the definition of a function or class evaluates in the scope around it, but for annotations."""
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]
    assert isinstance(node, FUNCTIONS)
    defaults = [*node.args.defaults, *(default for default in node.args.kw_defaults if default is not None)]
    return defaults if isinstance(node, ast.Lambda) else [*node.decorator_list, *defaults]


def _bind_all(body: list[ast.stmt] | list[ast.expr], scope: Scope) -> set[str]:
    """Returns the names that are declared as `nonlocal`."""
    elsewhere: set[str] = set()
    for node in local_nodes(body):
        if type(node) not in _BINDERS:
            continue
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                scope.bind(node.id, node)
        elif isinstance(node, _NAMED):
            if node.name:
                scope.bind(node.name, node)
        elif isinstance(node, IMPORTS):
            for name, binder in import_binders(node):
                scope.bind(name, binder)
        elif isinstance(node, ast.MatchMapping):
            if node.rest:
                scope.bind(node.rest, node)
        elif isinstance(node, ast.Nonlocal):
            elsewhere.update(node.names)
    return elsewhere


def import_binders(node: ast.Import | ast.ImportFrom) -> list[tuple[str, Import]]:
    """The names that an import binds, "*" among them, and to what."""
    if isinstance(node, ast.Import):
        return [(alias.asname or alias.name.partition(".")[0], Import(alias.name)) for alias in node.names]
    return [(alias.asname or alias.name, Import(node.module or "", alias.name)) for alias in node.names]
