"""The tests of a problem, from the row of any of the benchmarks whose formats are known.

    {"tests": ["assert f(1) == 2", ...], "test_setup_code"?}           assert statements (MBPP: `test_list`)
    {"tests": ["def check(candidate): ..."], "entry_point"}            HumanEval (also `test`), and EvalPlus's `test`
    {"tests": {"inputs": [...], "outputs": [...], "fn_name"?}}         standard input and output, or calls (verl, APPS)
    {"public_test_cases", "private_test_cases", "metadata"}            LiveCodeBench
    {"public_tests", "private_tests", "generated_tests"}               CodeContests
    {"base_input", "plus_input", "atol", "expected_output"?}           EvalPlus

`tests` may be the JSON text of any of these, as verl's ground truth is. `format` names the format where a row must not
be judged by its shape. `visible` lists the tests (by position) that the policy is shown; they do not decide.
"""

from __future__ import annotations

import ast
import json
import keyword
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from verifiers.code.asserts.reading import Surroundings, parsed, read_asserts
from verifiers.code.comparison.equality import EXACT
from verifiers.code.formats.contests import BY_TOKENS, GROUPS, read_contests
from verifiers.code.formats.evalplus import read_evalplus
from verifiers.code.formats.io_tests import Comparing, comparing, kind_of, read_inputs_outputs, read_test_list
from verifiers.code.formats.livecodebench import read_livecodebench
from verifiers.code.types import BadTests, CodeTests
from verifiers.python_source import UNPARSABLE, tree_of

_FAMILIES = {
    "asserts": "function assert asserts assertion humaneval human_eval mbpp check test_list pytest unittest",
    "inputs_outputs": "stdin_stdout stdin stdio io inputs_outputs call call_based functional fn_name prime apps taco",
    "livecodebench": "livecodebench lcb",
    "code_contests": "code_contests codecontests",
    "evalplus": "evalplus humaneval_plus humanevalplus mbpp_plus mbppplus",
}
FORMATS = {name: family for family, names in _FAMILIES.items() for name in names.split()}
_SCRIPTS = ("stdin_stdout", "stdin", "stdio", "io")
_CALLS = ("call", "call_based", "functional", "fn_name")
_TESTS = ("tests", "test", "test_list", "test_cases", "input_output", "ground_truth", "verification_info")
_SOLUTIONS = ("solution", "canonical_solution", "reference")
_COMPATIBLE = (
    ("evalplus", "asserts"),
    ("asserts", "evalplus"),
    ("livecodebench", "inputs_outputs"),
    ("code_contests", "inputs_outputs"),
)
"""A named format and another shape that its tests may have: EvalPlus publishes sources too, others hand on lists."""
_ENTRY_POINT = re.compile(r"[^\W\d]\w*(\(\))?(\.[^\W\d]\w*)?")
"""f, Class.f, or LeetCode's Solution().f"""
_FENCE = re.compile(r"```[a-z0-9]*\n(.*?)\n?```", re.DOTALL)
_LANGUAGES = ("", "python", "python3", "py", "python 3")


def read_tests(reference: Mapping[str, Any] | str) -> CodeTests:
    """All tests of a problem. Raises BadTests, with the field and what to write instead."""
    row = _row(reference)
    language = row.get("language") or ""
    if not isinstance(language, str) or language.strip().lower() not in _LANGUAGES:
        raise BadTests(f"`language` is {language!r}: only Python programs can be judged")
    family = _family(row)
    try:
        return replace(_READERS[family](row), prompt=_text(row, "prompt"))
    except BadTests:
        raise
    except ValueError as error:
        raise BadTests(str(error)) from None


def _row(reference: Any) -> dict[str, Any]:
    """A row, whatever of it is still JSON text."""
    if isinstance(reference, str):
        reference = _json(reference, "the tests")
    if isinstance(reference, list):
        reference = {"tests": reference}
    if not isinstance(reference, Mapping):
        raise BadTests('the tests are neither a mapping nor a list; write {"tests": [...]}')
    row = dict(reference)
    if "inputs" in row and "tests" not in row:
        return {"tests": {name: row.pop(name) for name in ("inputs", "outputs", "fn_name") if name in row}, **row}
    name, tests = _field(row)
    if isinstance(tests, str) and tests.lstrip()[:1] in ("{", "["):
        tests = tests if "\n" in tests and _defining(tests)[1:] else _json(tests, name)
    if isinstance(tests, Mapping) and "inputs" not in tests and "input" not in tests:
        return {**{key: value for key, value in row.items() if key != name}, **_row(tests)}  # a row within a row
    if name:
        row["tests"] = tests
    return row


def _field(row: Mapping[str, Any]) -> tuple[str, Any]:
    for name in _TESTS:
        if row.get(name) is not None:
            return name, row[name]
    return "", None


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadTests(f"`{what}` looks like JSON and is not ({str(error)[:80]})") from None


def _family(row: Mapping[str, Any]) -> str:
    """The reader of a row: by its `format`, or by its shape. Raises BadTests."""
    shape = _shape(row)
    name = row.get("format")
    if not name:
        if shape:
            return shape
        raise BadTests(
            'there are no tests: write `tests`, a list of assert statements or {"inputs": [...], "outputs": [...]}'
        )
    family = FORMATS.get(str(name).strip().lower().replace("-", "_"))
    if family is None:
        raise BadTests(f"`format` is {name!r}; write one of {', '.join(FORMATS)}, or leave it out")
    if not shape:
        raise BadTests("there are no tests: write `tests`")
    if family != shape and (family, shape) not in _COMPATIBLE and (str(name), shape) != ("function", "inputs_outputs"):
        raise BadTests(f"`format` is {name!r}, and the tests have the shape of {shape}; correct one of them")
    return shape


def _shape(row: Mapping[str, Any]) -> str:
    if row.get("public_test_cases") or row.get("private_test_cases"):
        return "livecodebench"
    if any(isinstance(row.get(group), Mapping | list) for group in GROUPS):
        return "code_contests"
    if row.get("base_input") is not None or row.get("plus_input") is not None:
        return "evalplus"
    tests = row.get("tests")
    if isinstance(tests, Mapping) or (isinstance(tests, list) and tests and isinstance(tests[0], Mapping)):
        return "inputs_outputs"
    return "" if tests is None else "asserts"


def _read_inputs_outputs(row: Mapping[str, Any]) -> CodeTests:
    named = str(row.get("format") or row.get("suite") or "")
    how = comparing(row, BY_TOKENS if FORMATS.get(named) == "code_contests" else Comparing())
    tests = row["tests"]
    function = row.get("fn_name") or row.get("entry_point") or ""
    if named in _SCRIPTS:
        function = ""
    elif named in _CALLS and not function and isinstance(tests, Mapping) and not tests.get("fn_name"):
        raise BadTests(f"`format` is {named!r} and no function is named; give `fn_name`")
    if isinstance(tests, list):
        cases = read_test_list(tests, how, str(function), "tests")
    else:
        function = tests.get("fn_name") or function
        cases = read_inputs_outputs({**tests, "fn_name": function}, how)
    if not cases:
        raise BadTests("`tests` is empty; a problem needs a test")
    visible = _visible(row, len(cases))
    if visible:
        cases = tuple(replace(case, visible=i in visible) for i, case in enumerate(cases))
    return CodeTests(cases, entry_point=str(function))


def _read_asserts(row: Mapping[str, Any]) -> CodeTests:
    sources = row["tests"]
    sources = [sources] if isinstance(sources, str) else sources
    if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
        wrong = kind_of(sources) if not isinstance(sources, list) else "a list with other items than texts"
        raise BadTests(f'`tests` is {wrong}; write a list of assert statements or {{"inputs": [], "outputs": []}}')
    if not sources:
        raise BadTests("`tests` is an empty list; a problem needs a test")
    around, prelude = surroundings(row)
    cases, texts = read_asserts(_clean(sources), around, visible=_visible(row, len(sources)))
    how = comparing(row, Comparing(values=EXACT))
    if row.get("compare"):
        raise BadTests("`compare` is for standard output, and these tests are asserts; leave it out")
    if texts and (how.checker or how.values != EXACT):
        raise BadTests(
            f"`checker` and `float_tolerance` are for values, and {texts[0].name} runs as text; leave them out"
        )
    return CodeTests(tuple(how.of_assert(case) for case in cases), texts, prelude, around.entry_point)


def _read_evalplus(row: Mapping[str, Any]) -> CodeTests:
    prompt, solution = _text(row, "prompt"), _solution(row)
    if solution and "entry_point" in row and f"def {row['entry_point']}" not in solution:
        solution = prompt + solution
    cases, texts = read_evalplus(row, solution)
    if texts and "tests" in row:  # HumanEval's own tests beside EvalPlus's inputs
        base = _read_asserts(row)
        cases, texts = base.cases, (*base.texts, *texts)
    return CodeTests(cases, texts, surroundings(row)[1], str(row.get("entry_point") or ""))


_READERS = {
    "asserts": _read_asserts,
    "inputs_outputs": _read_inputs_outputs,
    "livecodebench": lambda row: read_livecodebench(row, comparing(row, Comparing())),
    "code_contests": lambda row: read_contests(row, comparing(row, BY_TOKENS)),
    "evalplus": _read_evalplus,
}


def surroundings(row: Mapping[str, Any]) -> tuple[Surroundings, str]:
    """What a row says beside its tests, and the source that stands before the program. Raises BadTests."""
    entry_point = row.get("entry_point") or ""
    if not isinstance(entry_point, str):
        raise BadTests(f"`entry_point` is {kind_of(entry_point)}; write the name of the function to test")
    if entry_point and (not _ENTRY_POINT.fullmatch(entry_point) or keyword.iskeyword(entry_point)):
        raise BadTests(f"`entry_point` is {entry_point[:60]!r}; write the name of the function to test")
    imports = row.get("test_imports") or []
    if not isinstance(imports, list) or not all(isinstance(line, str) for line in imports):
        raise BadTests("`test_imports` must be a list of import statements")
    setup = _clean(["\n".join([*imports, _text(row, "test_setup_code")])])[0].strip()
    tree = parsed(setup, "test_setup_code", "write Python source")
    prelude = "".join(f"{ast.unparse(node)}\n" for node in tree.body if _stands_before(node))
    prompt = _defining(_text(row, "prompt"))
    solution = _defining(_text(row, "prompt") + _solution(row)) or _defining(_solution(row))
    known = {node.name: node for node in (*prompt, *solution) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = {
        part.id
        for node in solution
        if isinstance(node, ast.Assign)
        for target in node.targets
        for part in ast.walk(target)
        if isinstance(part, ast.Name)
    }
    if entry_point.isidentifier() and known and entry_point not in known.keys() | assigned:
        raise BadTests(
            f"`entry_point` is {entry_point!r}, and the problem's code defines {', '.join(known)}; write one of these"
        )
    helpers = [node for node in prompt if _is_helper(node, entry_point)] if entry_point else []
    return (
        Surroundings(
            entry_point,
            setup,
            "\n".join(ast.unparse(node) for node in helpers),
            frozenset(known) - {node.name for node in helpers if isinstance(node, ast.FunctionDef)},
            frozenset(name for name, node in known.items() if isinstance(node, ast.ClassDef)),
        ),
        prelude,
    )


def _stands_before(node: ast.stmt) -> bool:
    """Imports, and classes that the program may use. What else a setup holds stays with the tests."""
    return isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef)


def _is_helper(node: ast.stmt, entry_point: str) -> bool:
    """The prompt's imports, and the functions that it defines in full, which HumanEval's tests may call."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    return isinstance(node, ast.FunctionDef) and node.name != entry_point and len(node.body) > 1


def _defining(source: str) -> list[ast.stmt]:
    """The statements of a prompt or a solution; none if it is not source (a problem in words)."""
    try:
        return tree_of(source).body
    except UNPARSABLE:
        return []


def _solution(row: Mapping[str, Any]) -> str:
    return next((row[name] for name in _SOLUTIONS if isinstance(row.get(name), str) and row[name].strip()), "")


def _text(row: Mapping[str, Any], field: str) -> str:
    value = row.get(field)
    if value is not None and not isinstance(value, str):
        if field == "prompt":
            return ""  # a list of messages
        raise BadTests(f"`{field}` is {kind_of(value)}; write a text")
    return value or ""


def _clean(sources: Sequence[str]) -> list[str]:
    """Sources without a common indent and without the fence of a Markdown block around them."""
    cleaned = [textwrap.dedent(source.replace("\r\n", "\n")).strip("\n") for source in sources]
    return [fence.group(1) if (fence := _FENCE.fullmatch(source.strip())) else source for source in cleaned]


def _visible(row: Mapping[str, Any], count: int) -> frozenset[int]:
    """The positions of the tests that the policy is shown. Raises BadTests."""
    visible = row.get("visible") or []
    if not isinstance(visible, list) or not all(type(i) is int and 0 <= i < count for i in visible):
        raise BadTests(f"`visible` is {visible!r}; write a list of positions from 0 to {count - 1}")
    return frozenset(visible)
