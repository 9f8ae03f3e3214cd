"""The assertions of `unittest` as conditions: `self.assertEqual(a, b)` is `a == b`."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable

UNITTEST = frozenset({"TestCase", "IsolatedAsyncioTestCase"})


def _compared(operation: ast.cmpop) -> Callable[[list[ast.expr]], ast.expr]:
    return lambda args: ast.Compare(args[0], [operation], [args[1]])


def _compared_with(operation: ast.cmpop, value: None) -> Callable[[list[ast.expr]], ast.expr]:
    return lambda args: ast.Compare(args[0], [operation], [ast.Constant(value)])


def _called(name: str, *args: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(name, ast.Load()), list(args), [])


def _same_items(args: list[ast.expr]) -> ast.expr:
    left, right = (_called("sorted", argument) for argument in args[:2])
    return ast.Compare(left, [ast.Eq()], [right])


_CONDITIONS: dict[str, tuple[int, Callable[[list[ast.expr]], ast.expr]]] = {
    "assertTrue": (1, lambda args: args[0]),
    "assertFalse": (1, lambda args: ast.UnaryOp(ast.Not(), args[0])),
    "assertEqual": (2, _compared(ast.Eq())),
    "assertNotEqual": (2, _compared(ast.NotEq())),
    "assertIs": (2, _compared(ast.Is())),
    "assertIsNot": (2, _compared(ast.IsNot())),
    "assertIsNone": (1, _compared_with(ast.Is(), None)),
    "assertIsNotNone": (1, _compared_with(ast.IsNot(), None)),
    "assertIn": (2, _compared(ast.In())),
    "assertNotIn": (2, _compared(ast.NotIn())),
    "assertLess": (2, _compared(ast.Lt())),
    "assertLessEqual": (2, _compared(ast.LtE())),
    "assertGreater": (2, _compared(ast.Gt())),
    "assertGreaterEqual": (2, _compared(ast.GtE())),
    "assertIsInstance": (2, lambda args: _called("isinstance", *args[:2])),
    "assertCountEqual": (2, _same_items),
}
for _name in ("List", "Tuple", "Set", "Dict", "MultiLine", "Sequence"):
    _CONDITIONS[f"assert{_name}Equal"] = _CONDITIONS["assertEqual"]
_CONDITIONS["assertEquals"] = _CONDITIONS["assertEqual"]


def condition_of(node: ast.Call) -> ast.expr | None:
    """The condition of `self.assertX(...)`; None for any other call."""
    if not isinstance(node.func, ast.Attribute) or not isinstance(node.func.value, ast.Name):
        return None
    if node.func.value.id != "self":
        return None
    name, args = node.func.attr, node.args
    if name in ("assertAlmostEqual", "assertAlmostEquals") and len(args) >= 2:
        return _almost_equal(node)
    if name not in _CONDITIONS or len(args) < _CONDITIONS[name][0]:
        return None
    if name == "assertCountEqual" and not any(map(_can_be_sorted, args[:2])):
        return None
    return ast.copy_location(_CONDITIONS[name][1](args), node)


def _can_be_sorted(node: ast.expr) -> bool:
    """Whether it is written as numbers or texts. Sets are sorted by inclusion, in which most have no order."""
    if isinstance(node, ast.Constant):  # a list of values that is known by now
        values = node.value if isinstance(node.value, list | tuple | set) else []
    elif isinstance(node, ast.List | ast.Tuple | ast.Set):
        values = [part.value if isinstance(part, ast.Constant) else None for part in node.elts]
    else:
        return False
    return all(isinstance(value, str) for value in values) or all(isinstance(value, int | float) for value in values)


def _almost_equal(node: ast.Call) -> ast.expr | None:
    """As unittest has it: the difference rounds to zero at `places` decimals, or is at most `delta`."""
    options = {keyword.arg: keyword.value for keyword in node.keywords}
    gap = _called("abs", ast.BinOp(node.args[0], ast.Sub(), node.args[1]))
    if "delta" in options:
        return ast.Compare(gap, [ast.LtE()], [options["delta"]])
    places = options.get("places", node.args[2] if len(node.args) > 2 else ast.Constant(7))
    if not isinstance(places, ast.Constant) or not isinstance(places.value, int):
        return None
    return ast.Compare(gap, [ast.LtE()], [ast.Constant(0.5 * 10.0**-places.value)])


SETUPS = ("setUp", "setup_method")
_OF_THE_CLASS = ("assert", "fail", "subTest", "skipTest")


def test_classes(tree: ast.Module) -> list[ast.ClassDef]:
    """The classes at the top of a text that a runner would run: of `unittest`, or of pytest by their names. What a
    class takes from another one of the text counts.
    """
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    return [
        node
        for node in classes.values()
        if is_of_unittest(node, tree) or (node.name.startswith("Test") and _bases(node) <= {"object", *classes})
    ]


def is_of_unittest(node: ast.ClassDef, tree: ast.Module) -> bool:
    """Whether the class derives from unittest's, by whatever name that is imported."""
    classes = {each.name: each for each in tree.body if isinstance(each, ast.ClassDef)}
    reached, bases = set(), _bases(node)
    while bases:
        if any(base.rpartition(".")[2] in UNITTEST for base in bases):
            return True
        reached |= bases
        bases = {base for name in bases & classes.keys() for base in _bases(classes[name])} - reached
    return False


def _bases(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(base) for base in node.bases}


def without_self(body: list[ast.stmt]) -> list[ast.stmt]:
    """The body of a method in which `self.x` is a name; `self.assertEqual` and its like stay."""
    return [_WithoutSelf().visit(copy.deepcopy(node)) for node in body]


class _WithoutSelf(ast.NodeTransformer):
    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == "self" and not node.attr.startswith(_OF_THE_CLASS):
            return ast.copy_location(ast.Name(f"self {node.attr}", node.ctx), node)
        return node
