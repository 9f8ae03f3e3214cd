"""Does a test text hand over anything to the program that is not a plain value, or look for what it changed there?"""

from __future__ import annotations

import ast
import builtins

_PLAIN = (
    "random math cmath string copy itertools sys re json functools operator typing time unittest pytest statistics "
    "__future__ contextlib"
)
_PLAIN_MODULES = frozenset(_PLAIN.split())
"""Modules of which a text may use anything: what it then hands over is plain, or is seen to be a function."""
_RETURN_OBJECTS = "iter map filter zip reversed enumerate range open object memoryview bytearray"
_NOT_PLAIN = frozenset(_RETURN_OBJECTS.split())
_OF_FUNCTIONS = ("operator", "functools")
"""Modules that hold functions."""
_RETURN_IMMUTABLE = frozenset({"int", "str", "float", "len", "randint", "random.randint", "random.random"})
_RETURN_FUNCTIONS = frozenset({"attrgetter", "itemgetter", "methodcaller", "partial"})


def hands_over_objects(tree: ast.Module, calls: list[ast.Call], functions: frozenset[str]) -> bool:
    """Whether an argument of one of these calls is or holds a function, an iterator, or an object of some class.

    Args:
        functions: names that the text takes from the program. One that is written like a class is taken for one.
    """
    unsafe = classes_of(tree) | objects_of_modules(tree) | {name for name in functions if is_like_a_class(name)}
    for node in ast.walk(tree):  # names are bound before they are used, and the walk goes from the top down
        if isinstance(node, ast.FunctionDef) and mentions(node, unsafe):
            unsafe.add(node.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and mentions(node.value, unsafe):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            unsafe |= {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    helpers = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    helpers |= frozenset(dir(builtins)) - _bound(tree)
    helpers |= {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in _OF_FUNCTIONS
        for alias in node.names
    }
    return any(
        mentions(argument, unsafe) or _is_code(argument, helpers) for call in calls for argument in _arguments(call)
    )


def looks_for_changes(condition: ast.expr, arguments: set[str], results: set[str]) -> bool:
    """Whether a condition reads a part of an argument that a call returned the length of: `nums[:k]`."""
    return any(
        isinstance(part, ast.Subscript)
        and isinstance(part.slice, ast.Slice)
        and variable(part.value) in arguments
        and any(variable(bound) in results for bound in (part.slice.lower, part.slice.upper) if bound)
        for part in ast.walk(condition)
    )


def immutable_names(tree: ast.AST) -> set[str]:
    """Names that are bound to numbers and texts alone, which no program can change."""
    values: dict[str, bool] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for part in (part for target in node.targets for part in ast.walk(target)):
                if name := variable(part):
                    values[name] = values.get(name, True) and part in node.targets and _is_immutable(node.value)
        elif isinstance(node, ast.For | ast.comprehension):
            ranged = isinstance(node.iter, ast.Call) and ast.unparse(node.iter.func) == "range"
            for part in ast.walk(node.target):
                if name := variable(part):
                    values[name] = values.get(name, True) and ranged
        elif isinstance(node, ast.arg):
            values[node.arg] = False
    return {name for name, is_immutable in values.items() if is_immutable}


def _is_immutable(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) in _RETURN_IMMUTABLE
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str | bytes | int | float | complex | None)
    )


def variable(node: ast.AST) -> str:
    """`x` or `self.x`; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    of_self = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    return ast.unparse(node) if of_self else ""


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def classes_of(tree: ast.Module) -> set[str]:
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def objects_of_modules(tree: ast.Module) -> set[str]:
    """Names imported from modules whose values need not be plain: Decimal, deque, np."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] not in _PLAIN_MODULES:
                    names.add(alias.asname or alias.name.split(".")[0])
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] not in _PLAIN_MODULES:
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def is_like_a_class(name: str) -> bool:
    return name[0].isupper() and not name.isupper() and "_" not in name


def mentions(node: ast.AST, names: set[str]) -> bool:
    return any(isinstance(part, ast.Name) and part.id in names for part in ast.walk(node))


def _bound(tree: ast.Module) -> set[str]:
    """Names that the text binds to values, some of them to what was a built-in's name: `str = "ab"`."""
    stored = {part.id for part in ast.walk(tree) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    return stored | {part.arg for part in ast.walk(tree) if isinstance(part, ast.arg)}


def _is_code(argument: ast.expr, helpers: set[str]) -> bool:
    """A lambda, a generator, a function or a type by its name, or what `map` and its like return."""
    if isinstance(argument, ast.Lambda | ast.GeneratorExp):
        return True
    if isinstance(argument, ast.Name):
        return argument.id in helpers
    if isinstance(argument, ast.Call):
        called = argument.func
        if isinstance(called, ast.Name):
            return called.id in _NOT_PLAIN | _RETURN_FUNCTIONS
        return isinstance(called, ast.Attribute) and called.attr in _RETURN_FUNCTIONS
    if isinstance(argument, ast.Attribute) and isinstance(argument.value, ast.Name):  # `operator.add`, `str.upper`
        owner = argument.value.id
        method = getattr(vars(builtins).get(owner), argument.attr, None)
        return owner in _OF_FUNCTIONS or (owner in helpers and callable(method))
    if isinstance(argument, ast.List | ast.Tuple | ast.Set | ast.Dict):
        return any(_is_code(part, helpers) for part in ast.iter_child_nodes(argument) if isinstance(part, ast.expr))
    return isinstance(argument, ast.Starred) and isinstance(argument.value, ast.Name) and argument.value.id in helpers
