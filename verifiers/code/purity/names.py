"""What the names of a Python program stand for, as far as `verifiers.code.purity` needs it."""

from __future__ import annotations

import ast
import functools
import importlib
from typing import Literal

from verifiers.code.purity.scopes import Import, Scope, import_binders, module_scope
from verifiers.code.purity.stateless import STAR_IMPORTS, VALUES

Kind = Literal["built-in", "local", "import", "function", "class", "constant", "table", "unknown"]
"""
local        an object of the current call: a parameter, a variable, a function within a function
constant     a name of the module that stands for a number, a text, or a tuple of them
table        a name of the module that stands for a list, set or dict written out with constants in it
unknown      a name of the module that may stand for anything
"""


class StarImport(ValueError):
    """`from m import *` of a module that is not on the list."""


class Names:
    def __init__(self, tree: ast.Module) -> None:
        """Raises StarImport."""
        self.module = module_scope(tree)
        for star in self.module.names.pop("*", []):
            assert isinstance(star, Import)
            if star.module not in STAR_IMPORTS:
                raise StarImport(f"from {star.module} import *")
            for name in _starred(star.module):
                self.module.bind(name, Import(star.module, name))
        self._assigned = _assigned_values(tree)
        self._lines = _defining_lines(tree)
        self._kinds: dict[str, Kind] = {}

    @property
    def defined(self) -> list[str]:
        """The names of the module that something other than an import binds."""
        names = self.module.names.items()
        return [name for name, binders in names if not all(isinstance(binder, Import) for binder in binders)]

    def kind(self, name: str, scope: Scope) -> Kind:
        owner = scope.owner(name)
        if owner is None:
            return "built-in"
        if owner.is_module:
            return self._module_kind(name)
        imports = [isinstance(binder, Import) for binder in owner.names[name]]
        if not any(imports):
            return "local"
        return "import" if self._import_of(name, scope) else "unknown"

    def imported(self, node: ast.expr, scope: Scope) -> tuple[str, str]:
        """The module and the name in it that an expression stands for. The module is "" for a built-in name; both are
        "" for anything else.
        """
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            binder = self._import_of(node.value.id, scope)
            return (binder.module, node.attr) if binder is not None and not binder.name else ("", "")
        if not isinstance(node, ast.Name):
            return "", ""
        if scope.owner(node.id) is None:
            return "", node.id
        binder = self._import_of(node.id, scope)
        return (binder.module, binder.name) if binder is not None and binder.name else ("", "")

    def is_constant(self, node: ast.expr, scope: Scope) -> bool:
        """Whether an expression is a number, a text or a tuple of them, or a built-in function."""
        if isinstance(node, ast.Constant):
            return True
        if isinstance(node, ast.UnaryOp):
            return self.is_constant(node.operand, scope)
        if isinstance(node, ast.BinOp):
            return self.is_constant(node.left, scope) and self.is_constant(node.right, scope)
        if isinstance(node, ast.Tuple):
            return all(self.is_constant(item, scope) for item in node.elts)
        module, name = self.imported(node.func if isinstance(node, ast.Call) else node, scope)
        if isinstance(node, ast.Call):
            is_plain = not module and name in ("float", "int", "str") and not node.keywords
            return is_plain and all(self.is_constant(item, scope) for item in node.args)
        if isinstance(node, ast.Name) and self.kind(node.id, scope) == "constant":
            return True
        return name in VALUES.get(module, ())

    def _module_kind(self, name: str) -> Kind:
        if name not in self._kinds:
            self._kinds[name] = "unknown"  # what is defined by itself
            kinds = {self._binder_kind(binder, name) for binder in self._effective(name)}
            self._kinds[name] = kinds.pop() if len(kinds) == 1 else "unknown"
        return self._kinds[name]

    def _effective(self, name: str) -> list[ast.AST | Import]:
        """What may have bound a name of the module once all its lines have run."""
        binders, lines = self.module.names[name], self._lines.get(name, [])
        return lines[-1:] if len(lines) == len(binders) else binders

    def _binder_kind(self, binder: ast.AST | Import, name: str) -> Kind:
        if isinstance(binder, Import):
            return "import" if self._import_of(name, self.module) else "unknown"
        if isinstance(binder, ast.FunctionDef):
            return "function"
        if isinstance(binder, ast.ClassDef):
            return "class"
        value = self._assigned.get(binder)
        if value is None:
            return "unknown"
        if isinstance(value, ast.Lambda):
            return "function"
        if isinstance(value, ast.Call) and self.imported(value.func, self.module) == ("collections", "namedtuple"):
            arguments = [*value.args, *(keyword.value for keyword in value.keywords)]
            is_plain = all(self.is_constant(each, self.module) or self._is_table(each) for each in arguments)
            return "class" if is_plain else "unknown"
        if self.is_constant(value, self.module):
            return "constant"
        return "table" if self._is_table(value) else "unknown"

    def _is_table(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Dict):
            items = [*node.keys, *node.values]
        elif isinstance(node, ast.List | ast.Set):
            items = [*node.elts]
        else:
            return False
        return all(item is not None and self.is_constant(item, self.module) for item in items)

    def _import_of(self, name: str, scope: Scope) -> Import | None:
        """The import that binds a name, if nothing else binds it in its scope."""
        owner = scope.owner(name)
        if owner is None:
            return None
        binders = self._effective(name) if owner.is_module else owner.names[name]
        first = binders[0]
        return first if isinstance(first, Import) and all(each == first for each in binders) else None


@functools.cache
def _starred(module: str) -> tuple[str, ...]:
    """The names that `from module import *` binds, but for those of `builtins`, which it leaves as they are."""
    contents = importlib.import_module(module)
    names = getattr(contents, "__all__", [name for name in dir(contents) if not name.startswith("_")])
    return () if module == "builtins" else tuple(names)


def _defining_lines(tree: ast.Module) -> dict[str, list[ast.AST | Import]]:
    """What imports and definitions among the module's own lines bind, in order: of a name with no other binder the last
    one holds.
    """
    lines: dict[str, list[ast.AST | Import]] = {}
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            lines.setdefault(statement.name, []).append(statement)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            for name, binder in import_binders(statement):
                for each in _starred(binder.module) if name == "*" else (name,):
                    lines.setdefault(each, []).append(Import(binder.module, each) if name == "*" else binder)
    return lines


def _assigned_values(tree: ast.Module) -> dict[ast.AST, ast.expr]:
    """The value of each name that a plain assignment of the module binds, by the name's node."""
    values: dict[ast.AST, ast.expr] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            values |= {target: statement.value for target in statement.targets if isinstance(target, ast.Name)}
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            values[statement.target] = statement.value
    return values
