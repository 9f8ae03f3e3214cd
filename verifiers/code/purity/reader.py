"""Visits a program and refuses whatever might carry something from one call to the next."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable

from verifiers.code.purity.places import Places, Risk, is_type
from verifiers.code.purity.scopes import Comprehension, class_scope, comprehension_scope, function_scope
from verifiers.code.purity.stateless import (
    AT_START,
    BUILT_INS,
    CALLEES,
    HIDDEN_ATTRIBUTES,
    HINTS,
    METHODS,
    NESTED_DECORATORS,
    VALUES,
)

_HINT_NODES = (
    ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Tuple, ast.List, ast.BinOp, ast.BitOr, ast.Load,
)  # fmt: skip


class Reader(Places):
    """Visits a whole program; raises Risk."""

    def check(self, called: set[str] | None) -> None:
        """Visits all of the program, which is called from outside by these names of the module; None: by any that it
        defines."""
        for name in self.names.module.names:
            if name.startswith("__"):  # `__builtins__ = ...` gives built-in names another meaning
                raise Risk(self.tree, f"the name {name}")
        for name in self.names.defined if called is None else called:
            kind = self.names.kind(name, self.names.module)
            if kind not in ("function", "class") and (called is not None or kind == "unknown"):
                raise Risk(self.tree, f"the name {name} may be a function that was created by another")
        self.visit(self.tree)

    # ---------------------------------------------------------------- names and attributes

    def visit_Name(self, node: ast.Name) -> None:
        kind = self.kind(node)
        if not isinstance(node.ctx, ast.Load) or kind in ("local", "constant"):
            return
        if kind == "built-in":
            is_listed = node.id in BUILT_INS or (self.scope.runs_once and node.id in ("print", "__name__"))
            if not is_listed and node not in self.allowed:
                raise Risk(node, f"the name {node.id}")
        elif kind == "import":
            self._check_imported(node, *self.imported(node))
        elif kind == "unknown":
            if not self.scope.runs_once:
                raise Risk(node, f"{node.id}, which outlives the call and may change")
        elif node not in self.allowed:
            use = "read item by item" if kind == "table" else "called"
            raise Risk(node, f"{node.id}, which outlives the call, is more than {use}")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        is_store = not isinstance(node.ctx, ast.Load)
        if node.attr == "__name__" and is_type(node.value):
            self._allow_type(node.value)
            self.allowed.add(node)
        if node.attr.startswith(HIDDEN_ATTRIBUTES):
            is_listed = (node.attr in METHODS and not is_store) or (node.attr == "__name__" and node in self.allowed)
        else:
            is_listed = not node.attr.startswith("_") or node.attr in self.attributes
        if not is_listed:
            raise Risk(node, f"the attribute {node.attr}")
        if is_store and self.scope.runs_once:
            raise Risk(node, "an attribute of an object that outlives the calls is set")
        if node.attr in self.static_methods and node not in self.allowed:
            raise Risk(node, f"the static method {node.attr} is more than called")
        module, name = self.imported(node)
        if module:
            self._check_imported(node, module, name)
        else:
            self.visit(node.value)

    def _check_imported(self, node: ast.Name | ast.Attribute, module: str, name: str) -> None:
        is_listed = (
            name in VALUES.get(module, ())
            or (name in CALLEES.get(module, ()) and node in self.allowed)
            or (self.scope.runs_once and (name in HINTS.get(module, ()) or (module, name) in AT_START))
        )
        if not is_listed or not isinstance(node.ctx, ast.Load):
            raise Risk(node, f"{module}.{name}" if module else f"{ast.unparse(node)} is more than looked into")

    # ---------------------------------------------------------------- definitions

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for decorator in node.decorator_list:
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            module, name = self.imported(target)
            if self.scope.kind == "class":
                is_listed = module == "" and name in ("property", "staticmethod") and target is decorator
            else:
                is_listed = not self.scope.runs_once and (module, name) in NESTED_DECORATORS
            if not is_listed:
                raise Risk(decorator, "a decorator")
            if isinstance(decorator, ast.Call):
                self.visit_all([*decorator.args, *(each.value for each in decorator.keywords)], self.scope)
        if self.scope.kind == "class" and node.name.startswith("__") and node.name not in METHODS:
            raise Risk(node, f"the method {node.name}")
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        for hint in (node.returns, *(argument.annotation for argument in arguments if argument is not None)):
            self._check_hint(hint)
        self._visit_function(node, node.body)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_function(node, [node.body])

    def _visit_function(self, node: ast.FunctionDef | ast.Lambda, body: Iterable[ast.AST]) -> None:
        outlives_calls = self.scope.runs_once or self.scope.kind == "class"
        for default in filter(None, [*node.args.defaults, *node.args.kw_defaults]):
            if outlives_calls and not self.names.is_constant(default, self.scope):
                raise Risk(default, "a default value that is not a constant")
            self.visit(default)
        self.visit_all(body, function_scope(node, self.scope))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if node.decorator_list or node.keywords:
            raise Risk(node, "a class with a decorator or a metaclass")
        for base in node.bases:
            is_built_in = isinstance(base, ast.Name) and self.kind(base) == "built-in"
            if not (self.kind(base) == "class" or (is_built_in and ast.unparse(base) in (*BUILT_INS, "object"))):
                raise Risk(base, "a base class that is not known")
        scope = class_scope(node, self.scope)
        for statement in node.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                is_plain = all(isinstance(target, ast.Name) and _is_attribute_name(target.id) for target in targets)
                value = statement.value
                if not is_plain or not (value is None or self.names.is_constant(value, scope)):
                    raise Risk(statement, "a class attribute that is not a constant")
                self._check_hint(statement.annotation if isinstance(statement, ast.AnnAssign) else None)
            elif not (isinstance(statement, ast.FunctionDef | ast.Pass) or _is_text(statement)):
                raise Risk(statement, "a class body with more than methods and constants")
        self.visit_all([each for each in node.body if isinstance(each, ast.FunctionDef)], scope)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._check_hint(node.annotation)
        self.visit_all([node.target, node.value], self.scope)

    def _check_hint(self, node: ast.expr | None) -> None:
        """An annotation is evaluated where it stands, so that it may not ask an object that outlives the calls."""
        for each in ast.walk(node) if node is not None else ():
            is_plain = isinstance(each, _HINT_NODES)
            if not is_plain or (not self.scope.runs_once and self.kind(each) in ("unknown", "table")):
                raise Risk(each, "an annotation that is more than a type")

    def _visit_comprehension(self, node: Comprehension) -> None:
        inner = comprehension_scope(node, self.scope)
        self._allow([generator.iter for generator in node.generators[:1]], "table")
        self.visit(node.generators[0].iter)
        for i, generator in enumerate(node.generators):
            self.visit_all([generator.target, *generator.ifs], inner)
            if i > 0:
                self.visit_all([generator.iter], inner)
        values = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self.visit_all(values, inner)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension

    # ---------------------------------------------------------------- imports, and what is refused outright

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._check_module(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level:
            raise Risk(node, "a relative import")
        self._check_module(node, node.module or "")

    def _check_module(self, node: ast.AST, module: str) -> None:
        """A module of the library may be imported, whether or not what it offers may be used; in a function only one
        that does nothing when it is imported.
        """
        is_listed = any(module in listed for listed in (VALUES, CALLEES, HINTS))
        if not is_listed and not (self.scope.runs_once and module.partition(".")[0] in sys.stdlib_module_names):
            raise Risk(node, f"the module {module}")

    def refuse(self, node: ast.AST) -> None:
        raise Risk(node, f"{type(node).__name__.lower()} is not looked into")

    visit_Global = visit_AsyncFunctionDef = visit_AsyncFor = visit_AsyncWith = visit_Await = visit_TypeAlias = refuse


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_attribute_name(name: str) -> bool:
    return not name.startswith("__") or name == "__slots__"
