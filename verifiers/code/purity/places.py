"""Places in which a function, a class, a table or `type(x)` does no harm: called, compared, read item by item."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from types import EllipsisType
from typing import Any, ClassVar

from verifiers.code.purity.names import Names
from verifiers.code.purity.scopes import IMPORTS, Scope, all_nodes, children
from verifiers.code.purity.stateless import CALLERS, READERS, READING_METHODS

_MEMBERSHIP = (ast.In, ast.NotIn)


class Risk(Exception):
    def __init__(self, node: ast.AST, what: str) -> None:
        super().__init__(f"line {getattr(node, 'lineno', 1)}: {what}")


class Places(ast.NodeVisitor):
    """Visits a program and notes those places in `allowed`, each before what stands there is visited itself."""

    _methods: ClassVar[dict[type, Callable[[Any, Any], None]]]

    def __init_subclass__(cls) -> None:
        cls._methods = {}

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.names = Names(tree)
        self.scope = self.names.module
        self.allowed: set[ast.AST | None] = set()
        """Nodes in a place where a function, a class, a table or `type` of something does no harm."""
        self.attributes, self.static_methods, self.may_have_sort = _attributes(tree)

    def visit(self, node: ast.AST) -> None:
        """As in the base class, with the method of each class of nodes looked up once."""
        kind = type(node)
        if kind not in self._methods:
            self._methods[kind] = getattr(type(self), f"visit_{kind.__name__}", type(self).generic_visit)
        self._methods[kind](self, node)

    def generic_visit(self, node: ast.AST) -> None:
        for child in children(node):
            self.visit(child)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Nothing is below it."""

    def kind(self, node: ast.AST | None) -> str:
        return self.names.kind(node.id, self.scope) if isinstance(node, ast.Name) else ""

    def imported(self, node: ast.expr) -> tuple[str, str]:
        return self.names.imported(node, self.scope)

    def visit_all(self, nodes: Iterable[ast.AST | None], scope: Scope) -> None:
        outer, self.scope = self.scope, scope
        for node in nodes:
            if node is not None:
                self.visit(node)
        self.scope = outer

    def visit_Call(self, node: ast.Call) -> None:
        module, name = self.imported(node.func)
        is_built_in = isinstance(node.func, ast.Name) and self.kind(node.func) == "built-in"
        if not is_built_in or name == "super":
            self.allowed.add(node.func)
        if (module, name) in CALLERS and (module or is_built_in):
            position = CALLERS[module, name]
            if position is not None and not any(isinstance(each, ast.Starred) for each in node.args[:position]):
                self._allow(node.args[position : position + 1], "function", "class")
            self._allow([each.value for each in node.keywords if each.arg in ("key", "func")], "function", "class")
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "sort" and not self.may_have_sort:
            self._allow([each.value for each in node.keywords if each.arg == "key"], "function")
        elif isinstance(node.func, ast.Attribute) and node.func.attr in READING_METHODS:
            self._allow([node.func.value], "table")
        if is_built_in and name in READERS and (len(node.args) == 1 or name in ("map", "zip")):
            self._allow(node.args, "table")
        elif is_built_in and name in ("isinstance", "issubclass"):
            self._allow(_flat(node.args[1:]), "class")
        elif is_built_in and name == "hasattr" and node.args and isinstance(node.args[-1], ast.Constant):
            self.allowed.add(node.func)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, _MEMBERSHIP):
                self._allow([right], "table")
        operands = [node.left, *_flat(node.comparators)]
        is_identity = any(isinstance(operator, ast.Is | ast.IsNot) for operator in node.ops)
        if is_identity and not any(_is_single(each) or is_type(each) for each in operands):
            # which equal texts are one object may depend on what `namedtuple` interned in an earlier call
            raise Risk(node, "`is` between two objects")
        if all(is_type(each) or self.kind(each) in ("class", "built-in") for each in operands):
            # type(x) in (int, float); with anything else, its own __eq__ would be given the class
            for each in operands:
                self._allow_type(each)
                self._allow([each], "class")
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.ctx, ast.Load):
            self._allow([node.value], "table")
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self._allow([node.iter], "table")
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._allow([node.exc], "class")
        self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._allow(_flat([node.type]), "class")
        self.generic_visit(node)

    def visit_MatchClass(self, node: ast.MatchClass) -> None:
        if self.static_methods:  # `case A(f=g)` gives g
            raise Risk(node, "a pattern of a class")
        self._allow([node.cls], "class")
        self.generic_visit(node)

    def _allow(self, nodes: Iterable[ast.AST | None], *kinds: str) -> None:
        self.allowed.update(node for node in nodes if self.kind(node) in kinds)

    def _allow_type(self, node: ast.AST | None) -> None:
        if isinstance(node, ast.Call) and is_type(node) and self.kind(node.func) == "built-in":
            self.allowed.add(node.func)


def _attributes(tree: ast.Module) -> tuple[set[str], set[str], bool]:
    """Attributes and methods that the program names itself; its static methods; and whether an object of its own may
    have a method `sort`.
    """
    attributes: set[str] = set()
    methods: set[str] = set()
    static: set[str] = set()
    imports: set[str] = set()
    has_classes = False
    for node in all_nodes(tree):
        if isinstance(node, ast.Attribute):
            if isinstance(node.ctx, ast.Store):
                attributes.add(node.attr)
        elif isinstance(node, ast.FunctionDef):
            methods.add(node.name)
            if any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in node.decorator_list):
                static.add(node.name)
        elif isinstance(node, IMPORTS):
            imports.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ClassDef):
            has_classes = True
    has_classes = has_classes or not imports.isdisjoint({"namedtuple", "collections", "*"})
    listed = {"_replace", "_asdict", "_fields"}
    return attributes | methods | listed, static, has_classes or "sort" in attributes


def _flat(nodes: Iterable[ast.AST | None]) -> list[ast.AST | None]:
    return [item for node in nodes for item in (node.elts if isinstance(node, ast.Tuple) else [node])]


def _is_single(node: ast.AST | None) -> bool:
    """None, True, False, ..."""
    return isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool | EllipsisType))


def is_type(node: ast.AST | None) -> bool:
    """`type(x)`"""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return False
    return node.func.id == "type" and len(node.args) == 1 and not node.keywords
