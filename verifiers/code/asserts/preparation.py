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

from verifiers.code.asserts.unittests import SETUPS, is_test_class
from verifiers.code.types import BadTests

PROGRAM_MODULES = frozenset({"solution", "main", "program", "your_module", "submission"})
_RUNNERS = frozenset({"unittest.main", "pytest.main"})
_PARAMETRIZE = "pytest.mark.parametrize"


def prepared(tree: ast.Module, entry_point: str, label: str) -> ast.Module:
    """A script that runs every test of a text. Raises BadTests for tests that nothing calls."""
    body = [node for node in _without_the_module(tree).body if not _runs_everything(node)]
    called = _called(body)
    calls: list[ast.stmt] = []
    for i, node in enumerate(body):
        if isinstance(node, ast.AsyncFunctionDef) and node.name not in called and node.name.startswith("test"):
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
    """The lines that run each test of each `unittest` class in a text that runs as text."""
    lines = []
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or not is_test_class(node):
            continue
        if node.bases:
            lines.append(f"__import__('unittest').TestLoader().loadTestsFromTestCase({node.name}).debug()")
            continue
        methods = [part.name for part in node.body if isinstance(part, ast.FunctionDef)]
        lines.extend(f"{node.name}.{name}()" for name in methods if name == "setup_class")
        for method in filter(lambda name: name.startswith("test"), methods):
            lines.append(f"_test = {node.name}()")
            lines.extend(f"_test.{name}()" for name in (*SETUPS, method) if name in methods)
    return "".join(f"\n{line}" for line in lines)


def _statement(source: str) -> ast.stmt:
    return ast.parse(source).body[0]


def _called(body: list[ast.stmt]) -> set[str]:
    return {
        part.func.id
        for node in body
        for part in ast.walk(node)
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)
    }


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
    return _WithoutModules(modules).visit(ast.Module(body, [])) if modules else ast.Module(body, [])  # type: ignore[no-any-return]


class _WithoutModules(ast.NodeTransformer):
    def __init__(self, modules: set[str]) -> None:
        self.modules = modules

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id in self.modules:
            return ast.copy_location(ast.Name(node.attr, node.ctx), node)
        return node


def _runs_everything(node: ast.stmt) -> bool:
    """`unittest.main()`, also within `if __name__ == "__main__":`."""
    if isinstance(node, ast.If) and not node.orelse:
        return all(_runs_everything(part) for part in node.body)
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in _RUNNERS


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
