"""The text of a test as a script: what a test runner would do for it is written out.

def check(candidate): ...                       check(f)
def test_f(): ...                               test_f()
@pytest.mark.parametrize("x, y", [(1, 2)])      for x, y in [(1, 2)]: test_f(x, y)
def test_f(x, y): ...
from solution import f                          nothing: f is the program's
unittest.main()                                 nothing: its classes are run
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence

from verifiers.code.asserts.swallowing import counted_names, passes_over
from verifiers.code.asserts.unittests import SETUPS, is_of_unittest, test_classes
from verifiers.code.types import BadTests
from verifiers.python_source import tree_of

PROGRAM_MODULES = frozenset({"solution", "main", "program", "your_module", "submission", "__main__"})
_RUNNERS = frozenset({"unittest.main", "pytest.main"})
_EXITS = frozenset({"sys.exit", "exit", "quit"})
_PARAMETRIZE = "pytest.mark.parametrize"


def prepared(tree: ast.Module, entry_point: str, label: str) -> ast.Module:
    """A script that runs every test of a text. Raises BadTests for tests that nothing calls."""
    runners = _RUNNERS | _imported_runners(tree)
    body = _without_runners(_without_the_module(tree).body, runners)
    _refuse_hidden(tree, body, label)
    called, read = _called(body, counted_names(tree)), _read_names(tree)
    calls: list[ast.stmt] = []
    for i, node in enumerate(body):
        if isinstance(node, ast.AsyncFunctionDef) and node.name not in read and node.name.startswith("test"):
            raise BadTests(
                f"{label} defines async {node.name} and does not run it; write asyncio.run({node.name}()) behind it"
            )
        if not isinstance(node, ast.FunctionDef) or node.name in called:
            continue
        parametrized = [mark for mark in node.decorator_list if _is_parametrize(mark)]
        parameters = [argument.arg for argument in node.args.args]
        if parametrized and len(parametrized) == len(node.decorator_list):
            body[i] = _undecorated(node)
            calls.append(_loops(node, parametrized, label))
        elif len(parameters) == 1 and (node.name == "check" or parameters == ["candidate"]):
            if not entry_point:
                raise BadTests(
                    f"{label} defines {node.name}({parameters[0]}) and does not call it: give `entry_point`, the name "
                    "of the function to test"
                )
            calls.append(_statement(f"{node.name}({entry_point})"))
        elif node.name.startswith("test") and len(parameters) == len(node.args.defaults):
            calls.append(_statement(f"{node.name}()"))
        elif node.name.startswith("test"):
            raise BadTests(
                f"{label} defines {node.name}({', '.join(parameters)}) and does not call it; write a test without "
                "parameters, or with pytest.mark.parametrize"
            )
    whole = [*body, *calls]
    if not any(isinstance(part, ast.Name) and part.id == "pytest" for node in whole for part in ast.walk(node)):
        whole = [node for node in whole if not (isinstance(node, ast.Import) and node.names[0].name == "pytest")]
    return ast.Module(whole, [])


def unittest_runs(tree: ast.Module) -> str:
    """The lines that run each test of each class of tests in a text that runs as text, in the order of the text."""
    lines = []
    for node in test_classes(tree):
        name = node.name
        if is_of_unittest(node, tree):
            lines.append(f"__import__('unittest').TestLoader().loadTestsFromTestCase({name}).debug()")
            continue
        lines.append(f"_setup = getattr({name}, 'setup_class', lambda *given: None)")
        lines.append(f"_setup() if hasattr(_setup, '__self__') else _setup({name})")
        lines.append(f"for _name in {{name: 0 for each in reversed({name}.__mro__) for name in vars(each)}}:")
        lines.append(f"    if not _name.startswith('test') or not callable(getattr({name}, _name)):")
        lines.append("        continue")
        lines.append(f"    _test = {name}()")
        for setup in SETUPS:  # of pytest it may take the test's method
            lines.append(f"    if hasattr(_test, {setup!r}):")
            lines.append(f"        _test.{setup}(*[None] * (_test.{setup}.__code__.co_argcount - 1))")
        lines.append("    getattr(_test, _name)()")
    return "".join(f"\n{line}" for line in lines)


def _statement(source: str) -> ast.stmt:
    return tree_of(source).body[0]


def _called(body: list[ast.stmt], counted: frozenset[str]) -> set[str]:
    """Functions that are called when the text runs, tests that a runner would run among those that call. What is called
    within a `try` that passes over asserts does not count: the test is run once more, outside of it.
    """
    functions = {node.name: node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    called: set[str] = set()
    by_script = [node for node in body if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    _reach(by_script, functions, called, counted)
    tests = [node for name, node in functions.items() if name.startswith("test") and name not in called]
    _reach(tests, functions, called, counted)
    return called


def _reach(
    nodes: Sequence[ast.AST], functions: Mapping[str, ast.stmt], called: set[str], counted: frozenset[str]
) -> None:
    waiting = list(nodes)
    while waiting:
        for name in _calls_in(waiting.pop(), counted) - called:
            called.add(name)
            if name in functions:
                waiting.append(functions[name])


def _calls_in(node: ast.AST, counted: frozenset[str]) -> set[str]:
    if isinstance(node, ast.Try) and passes_over(node, counted):
        parts: list[ast.AST] = [*node.handlers, *node.orelse, *node.finalbody]
    else:
        parts = list(ast.iter_child_nodes(node))
    direct = {node.func.id} if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else set()
    return direct.union(*(_calls_in(part, counted) for part in parts))


def _read_names(tree: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(tree) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}


def _refuse_hidden(tree: ast.Module, body: list[ast.stmt], label: str) -> None:
    """Raises BadTests for tests that no runner sees where they stand, so that they would be left out in silence."""
    read = _read_names(tree)
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for part in ast.walk(node):
            if part is node or not isinstance(part, ast.FunctionDef | ast.ClassDef) or part.name in read:
                continue
            if isinstance(part, ast.ClassDef):
                is_test = part.name.startswith("Test") and any(
                    isinstance(each, ast.FunctionDef) and each.name.startswith("test") for each in part.body
                )
            else:
                is_test = part.name.startswith("test") and not isinstance(node, ast.ClassDef)
            if is_test:
                raise BadTests(
                    f"{label} defines {part.name} within another block, where it would not run; write it at the top"
                )


def _imported_runners(tree: ast.Module) -> set[str]:
    """`from unittest import main`, `import unittest as ut`"""
    runners: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module in ("unittest", "pytest"):
            runners |= {alias.asname or alias.name for alias in node.names if alias.name == "main"}
        elif isinstance(node, ast.Import):
            runners |= {f"{alias.asname}.main" for alias in node.names if alias.name in ("unittest", "pytest")}
    return runners


def _without_the_module(tree: ast.Module) -> ast.Module:
    """The text without its imports of the program: `solution.f`, where `import solution` stood, is `f`."""
    modules: set[str] = set()
    body: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.Import) and all(alias.name in PROGRAM_MODULES for alias in node.names):
            modules |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module in PROGRAM_MODULES:
            body += [_statement(f"{alias.asname} = {alias.name}") for alias in node.names if alias.asname]
        else:
            body.append(node)
    return _WithoutModules(modules).visit(ast.Module(body, []))  # type: ignore[no-any-return]


class _WithoutModules(ast.NodeTransformer):
    def __init__(self, modules: set[str]) -> None:
        self.modules = modules

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt:
        """Within a function."""
        if node.module not in PROGRAM_MODULES or any(alias.asname for alias in node.names):
            return node
        return ast.copy_location(ast.Pass(), node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id in self.modules:
            return ast.copy_location(ast.Name(node.attr, node.ctx), node)
        return node


def _without_runners(body: Sequence[ast.stmt], runners: Collection[str], *, ends: bool = True) -> list[ast.stmt]:
    """Without `unittest.main()` and without an end of the script: `sys.exit(failed)` becomes an assert. Of an `if` with
    these in it the rest stays.

    Args:
        ends: whether the script ends behind this body: its own, or that of `if __name__ == "__main__":`.
    """
    statements: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.If) and not node.orelse:
            inner = _without_runners(node.body, runners, ends=ends and "__name__" in ast.unparse(node.test))
            if inner:
                statements.append(ast.copy_location(ast.If(node.test, inner, []), node))
            continue
        call = node.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
        if call is None or ast.unparse(call.func) not in {*runners, *(_EXITS if ends else ())}:
            statements.append(node)
        elif ast.unparse(call.func) in _EXITS and call.args:
            status = call.args[0]
            if not (isinstance(status, ast.Call) and ast.unparse(status.func) in runners):
                statements.append(ast.copy_location(ast.Assert(ast.UnaryOp(ast.Not(), status)), node))
    return statements


def _is_parametrize(mark: ast.expr) -> bool:
    return isinstance(mark, ast.Call) and ast.unparse(mark.func) == _PARAMETRIZE and len(mark.args) >= 2


def _undecorated(node: ast.FunctionDef) -> ast.FunctionDef:
    fields = {name: value for name, value in ast.iter_fields(node) if name != "decorator_list"}
    return ast.copy_location(ast.FunctionDef(**fields, decorator_list=[]), node)


def _loops(node: ast.FunctionDef, marks: list[ast.expr], label: str) -> ast.stmt:
    arguments = [argument.arg for argument in node.args.args]
    statement: ast.stmt = _statement(f"{node.name}({', '.join(arguments)})")
    bound: list[str] = []
    for mark in marks:
        assert isinstance(mark, ast.Call)
        names = _parameter_names(mark.args[0])
        bound += names
        target = ", ".join(names) + ("," if _are_listed(mark.args[0]) else "")
        loop = _statement(f"for {target} in _: pass") if names else None
        if not isinstance(loop, ast.For):
            raise BadTests(f"{label}: the names of pytest.mark.parametrize before {node.name} cannot be read")
        loop.iter, loop.body = mark.args[1], [statement]
        statement = loop
    if set(bound) != set(arguments):
        raise BadTests(f"{label}: {node.name}({', '.join(arguments)}) is parametrized over {', '.join(bound)}")
    return statement


def _parameter_names(node: ast.expr) -> list[str]:
    """Of "x, y" or ("x", "y"), written or as a value."""
    try:
        value = ast.literal_eval(node) if not isinstance(node, ast.Constant) else node.value
    except ValueError:
        return []
    parts = value.split(",") if isinstance(value, str) else value
    names = [part.strip() for part in parts if isinstance(part, str)] if isinstance(parts, list | tuple) else []
    return [name for name in names if name.isidentifier()]


def _are_listed(node: ast.expr) -> bool:
    return isinstance(node.value if isinstance(node, ast.Constant) else node, ast.Tuple | ast.List | tuple | list)
