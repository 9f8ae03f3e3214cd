"""The value of an expression of a test, without running any code: literals, arithmetic, pure functions, comprehensions.

`assert f([i * i for i in range(3)], "ab" * 4) == {"a": math.inf}` has three such expressions. Nothing of the text is
ever executed: the tree is walked, and each node is either one of those below or refused with `NotPlain`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from verifiers.code.asserts.pure_functions import NotPlain, hashable, mapping, same, unpacked
from verifiers.code.asserts.tables import CONSTANTS, FUNCTIONS, METHODS, OPERATORS, TYPES
from verifiers.sandbox.values import Items, Opaque

MAX_STEPS = 150_000
ITEMS_PER_STEP = 50
ITEMS_PER_COMPARISON = 5
_WRITTEN_OUT = (ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Name)
"""Nodes that cost no step: their number is bounded by the length of the text."""
SIZED = (str, bytes, list, tuple, set, frozenset, dict)
FAILURES = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
)
"""What an expression over plain values can raise. `NotPlain` is a ValueError."""
SINGLETONS = (type(None), bool, type)


def value_of(node: ast.expr, names: Mapping[str, Any] | None = None) -> Any:
    """The value of an expression whose free names are `names`. Raises what FAILURES lists, NotPlain among it."""
    return _Walk(dict(names or {})).value(node)


def with_values(tree: ast.Module) -> ast.Module:
    """The tree with each list, tuple, set and dict of literals as one constant, so that long ones are walked once."""
    return _Values().visit(tree)  # type: ignore[no-any-return]


class _Values(ast.NodeTransformer):
    def visit_List(self, node: ast.List | ast.Tuple | ast.Set | ast.Dict) -> ast.AST:
        if isinstance(getattr(node, "ctx", None), ast.Store):
            return node
        try:
            return ast.copy_location(ast.Constant(ast.literal_eval(node)), node)
        except (ValueError, TypeError):  # not literals alone, or a list as a member of a set
            return self.generic_visit(node)

    visit_Tuple = visit_Set = visit_Dict = visit_List


class _Walk:
    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self.steps = [0]
        self.repeats = False
        """Within a comprehension or a lambda, where a node may be visited more often than it is written."""

    def charge(self, *values: Any, steps: int = 1) -> None:
        """Counts a step, and more where a built-in goes through long values: a loop of such calls must end too."""
        self.steps[0] += steps + sum(_length(value) // ITEMS_PER_STEP for value in values)
        if self.steps[0] > MAX_STEPS:
            raise NotPlain("the expression takes too many steps")

    def value(self, node: ast.expr) -> Any:
        if self.repeats or not isinstance(node, _WRITTEN_OUT):
            self.charge()
        visit: Callable[[Any], Any] | None = getattr(self, f"_{type(node).__name__.lower()}", None)
        if visit is None:
            raise NotPlain(f"a {type(node).__name__} in a test")
        return visit(node)

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id in self.names:
            return self.names[node.id]
        for table in (TYPES, CONSTANTS, FUNCTIONS):
            if node.id in table:
                return table[node.id]
        raise NotPlain(f"the name {node.id} has no plain value")

    def _items(self, nodes: list[ast.expr]) -> Iterator[Any]:
        for node in nodes:
            if isinstance(node, ast.Starred):
                yield from self.value(node.value)
            else:
                yield self.value(node)

    def _list(self, node: ast.List) -> list[Any]:
        return list(self._items(node.elts))

    def _tuple(self, node: ast.Tuple) -> tuple[Any, ...]:
        return tuple(self._items(node.elts))

    def _set(self, node: ast.Set) -> set[Any]:
        return set(hashable(self._items(node.elts)))

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                result.update(self.value(value))
            else:
                result[self.value(key)] = self.value(value)
        return result

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        return OPERATORS[type(node.op).__name__](self.value(node.operand))

    def _binop(self, node: ast.BinOp) -> Any:
        name = type(node.op).__name__
        if name not in OPERATORS:
            raise NotPlain(f"the operator {name} in a test")
        left, right = self.value(node.left), self.value(node.right)
        self.charge(left, right)
        return OPERATORS[name](left, right)

    def _boolop(self, node: ast.BoolOp) -> Any:
        stops = isinstance(node.op, ast.Or)
        value: Any = None
        for operand in node.values:
            value = self.value(operand)
            if bool(value) is stops:
                break
        return value

    def _ifexp(self, node: ast.IfExp) -> Any:
        return self.value(node.body if self.value(node.test) else node.orelse)

    def _compare(self, node: ast.Compare) -> bool:
        left = self.value(node.left)
        for operation, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.value(comparator)
            self.charge(left, right, steps=(_items(left) + _items(right)) // ITEMS_PER_COMPARISON)
            if not _holds(operation, left, right):
                return False
            left = right
        return True

    def _subscript(self, node: ast.Subscript) -> Any:
        return self.value(node.value)[self.value(node.slice)]

    def _slice(self, node: ast.Slice) -> slice:
        return slice(*(None if part is None else self.value(part) for part in (node.lower, node.upper, node.step)))

    def _attribute(self, node: ast.Attribute) -> Any:
        value = self.value(node.value)
        if isinstance(value, type) and node.attr == "__name__":
            return value.__name__
        if type(value) is complex and node.attr in ("real", "imag"):
            return getattr(value, node.attr)
        method = METHODS.get(type(value), {}).get(node.attr)
        if method is None:
            raise NotPlain(f"the attribute {node.attr} of a {type(value).__name__}")

        def call(*args: Any, **kwargs: Any) -> Any:
            self.charge(value)
            return method(value, *args, **kwargs)

        return call

    def _call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Name | ast.Attribute | ast.Lambda):
            function = self.value(node.func)
        else:
            raise NotPlain("a call of what is not a name")
        if isinstance(node.func, ast.Name) and node.func.id not in self.names:
            function = FUNCTIONS.get(node.func.id, function)
        args = [self._bounded(item, function) for item in self._items(node.args)]
        kwargs: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.value(keyword.value)
            named = {keyword.arg: value} if keyword.arg else value
            kwargs.update({name: self._bounded(item, function) for name, item in named.items()})
        if any(isinstance(item, Opaque) for item in args):
            raise NotPlain(f"a value of the program's own type: {args[0]!r}")
        self.charge(*args)
        return function(*args, **kwargs)

    @staticmethod
    def _bounded(argument: Any, function: Any) -> Any:
        """`map(list, ...)` and `key=len` call the bounded functions of the table, `isinstance(x, list)` the type."""
        if isinstance(argument, type) and function is not FUNCTIONS["isinstance"]:
            return FUNCTIONS[argument.__name__]
        return argument

    def _lambda(self, node: ast.Lambda) -> Callable[..., Any]:
        if node.args.vararg or node.args.kwarg or node.args.kwonlyargs or node.args.defaults:
            raise NotPlain("a lambda with other than plain parameters")
        parameters = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]

        def call(*args: Any) -> Any:
            if len(args) != len(parameters):
                raise TypeError(f"the lambda takes {len(parameters)} arguments")
            return self._within(dict(zip(parameters, args, strict=True))).value(node.body)

        return call

    def _within(self, names: dict[str, Any]) -> _Walk:
        walk = _Walk(self.names | names)
        walk.steps = self.steps
        walk.repeats = True
        return walk

    def _listcomp(self, node: ast.ListComp) -> list[Any]:
        return [walk.value(node.elt) for walk in self._rounds(node.generators)]

    def _generatorexp(self, node: ast.GeneratorExp) -> Iterator[Any]:
        return (walk.value(node.elt) for walk in self._rounds(node.generators))

    def _setcomp(self, node: ast.SetComp) -> set[Any]:
        return set(hashable(walk.value(node.elt) for walk in self._rounds(node.generators)))

    def _dictcomp(self, node: ast.DictComp) -> dict[Any, Any]:
        return mapping((walk.value(node.key), walk.value(node.value)) for walk in self._rounds(node.generators))

    def _rounds(self, generators: list[ast.comprehension]) -> Iterator[_Walk]:
        if not generators:
            yield self
            return
        first, *others = generators
        for item in self.value(first.iter):
            self.charge()
            walk = self._within(bindings(first.target, item))
            if all(walk.value(condition) for condition in first.ifs):
                yield from walk._rounds(others)

    def _joinedstr(self, node: ast.JoinedStr) -> str:
        return "".join(str(self.value(part)) for part in node.values)

    def _formattedvalue(self, node: ast.FormattedValue) -> str:
        value = self.value(node.value)
        specification = "" if node.format_spec is None else self.value(node.format_spec)
        if len(specification) > 5:
            raise NotPlain("a long format")
        changes: dict[int, Callable[[Any], str]] = {ord("r"): repr, ord("s"): str, ord("a"): ascii}
        return format(changes[node.conversion](value) if node.conversion in changes else value, specification)


def _length(value: Any) -> int:
    if isinstance(value, Items):
        return len(value.items)
    return len(value) if isinstance(value, SIZED) else 0


def _items(value: Any) -> int:
    """How many items there are in a value and in the values within it."""
    if not isinstance(value, list | tuple | set | frozenset | dict):
        return 0
    inner = [item for item in (value.values() if isinstance(value, dict) else value) if isinstance(item, SIZED)]
    return len(value) + sum(map(_items, inner))


def _holds(operation: ast.cmpop, left: Any, right: Any) -> bool:
    if isinstance(operation, ast.Eq | ast.NotEq):
        return same(left, right) is isinstance(operation, ast.Eq)
    if isinstance(operation, ast.Is | ast.IsNot):
        if not isinstance(left, SINGLETONS) and not isinstance(right, SINGLETONS):
            raise NotPlain("`is` between values")
        return (left is right) is isinstance(operation, ast.Is)
    if isinstance(operation, ast.In | ast.NotIn):
        return _contains(right, left) is isinstance(operation, ast.In)
    return bool(OPERATORS[type(operation).__name__](left, right))


def _contains(items: Any, item: Any) -> bool:
    if isinstance(items, str | bytes | range):
        return item in items
    return any(same(item, other) for other in items)


def bindings(target: ast.expr, value: Any) -> dict[str, Any]:
    """The names that an assignment binds. Raises NotPlain for targets other than names and tuples of names."""
    if isinstance(target, ast.Name):
        return {target.id: value}
    if isinstance(target, ast.Tuple | ast.List) and not any(isinstance(part, ast.Starred) for part in target.elts):
        names: dict[str, Any] = {}
        for part, item in zip(target.elts, unpacked(value, len(target.elts)), strict=True):
            names |= bindings(part, item)
        return names
    raise NotPlain("an assignment to other than names")


__all__ = ["FAILURES", "NotPlain", "bindings", "value_of"]
