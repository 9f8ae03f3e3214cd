"""Tests as inputs and outputs: a text for standard input, or arguments for a function.

    {"inputs": ["1 2\n"], "outputs": ["3\n"]}                                a script, standard input and output
    {"fn_name": "add", "inputs": ["1\n2"], "outputs": ["3"]}                 a call: one JSON value per line
    {"fn_name": "add", "inputs": [[1, 2]], "outputs": [3]}                   the same, already parsed (APPS, TACO)

JSON has no tuples and no keys but texts, so that a returned tuple is equal to a list, and the key 1 to "1".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from verifiers.code.asserts.conditions import plain
from verifiers.code.asserts.pure_functions import NotPlain
from verifiers.code.comparison.checkers import Special, load_checker
from verifiers.code.comparison.checks import AnyOf, Equals, StdoutMatches
from verifiers.code.comparison.equality import EXACT, Tolerance
from verifiers.code.comparison.output import OUTPUT_MODES, OutputMode
from verifiers.code.types import BadTests, Case, Check
from verifiers.sandbox.types import Call, Stdin

NEAR = Tolerance(1e-6, 1e-6)


@dataclass(frozen=True, slots=True)
class Comparing:
    """How outputs are compared. By default as LiveCodeBench does it: lines, and the numbers in them as decimals."""

    mode: OutputMode = "numbers"
    tolerance: Tolerance = EXACT
    """Of numbers on standard output."""
    values: Tolerance = NEAR
    """Of floats that a call returns."""
    checker: str = ""
    options: Mapping[str, Any] | None = None

    def stdout(self, case_input: Stdin, output: Any, place: str) -> Check:
        """Raises BadTests."""
        if self.checker == "one_of" and isinstance(output, list):
            answers = [_text(answer, f"{place}[{i}]") for i, answer in enumerate(output)]
            return Special(self.checker, case_input, answers, self.options or {})
        expected = _text(output, place)
        if self.checker:
            return Special(self.checker, case_input, expected, self.options or {})
        if self.mode == "tokens" and self.tolerance != EXACT and "." in expected:
            options = {"relative": self.tolerance.relative, "absolute": self.tolerance.absolute}
            return Special("near", case_input, expected, options)
        return StdoutMatches(expected, self.mode, self.tolerance)

    def value(self, case_input: Call, expected: Any) -> Check:
        if self.checker:
            return Special(self.checker, case_input, expected, self.options or {})
        return Equals(expected, self.values, "json")

    def of_assert(self, case: Case) -> Case:
        """A case of an assert: where it expects a value, that value is compared in this way."""
        if not isinstance(case.check, Equals) or not isinstance(case.input, Call):
            return case
        if self.checker:
            return replace(case, check=Special(self.checker, case.input, case.check.expected, self.options or {}))
        return replace(case, check=replace(case.check, tolerance=self.values)) if self.values != EXACT else case


def comparing(reference: Mapping[str, Any], default: Comparing) -> Comparing:
    """With the fields `compare`, `float_tolerance`, `checker` and `checker_options` of a row. Raises BadTests."""
    mode = reference.get("compare") or default.mode
    if mode not in OUTPUT_MODES:
        raise BadTests(f"`compare` is {mode!r}; write one of {', '.join(OUTPUT_MODES)}")
    size = reference.get("float_tolerance")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int | float) or not 0 <= size < 1):
        raise BadTests(f"`float_tolerance` is {size!r}; write a number from 0 to 1, e.g. 1e-6")
    near = None if size is None else Tolerance(float(size), float(size))
    checker = reference.get("checker") or ""
    options = reference.get("checker_options")
    if not isinstance(checker, str) or not isinstance(options, dict | None):
        raise BadTests("`checker` must be a name and `checker_options` a mapping")
    if checker:
        load_checker(checker)
    return Comparing(mode, near or default.tolerance, near or default.values, checker, options)


def read_inputs_outputs(tests: Mapping[str, Any], how: Comparing, field: str = "tests") -> tuple[Case, ...]:
    """The cases of `{"fn_name"?, "inputs", "outputs"}`. Raises BadTests."""
    inputs, outputs = _pair(tests, field)
    function = tests.get("fn_name") or ""
    if not isinstance(function, str):
        raise BadTests(f"`{field}.fn_name` is {kind_of(function)}; write the function's name")
    wrapped = bool(function) and _is_wrapped(inputs, outputs)
    cases = []
    for i, (given, expected) in enumerate(zip(inputs, outputs, strict=True)):
        places = f"{field}.inputs[{i}]", f"{field}.outputs[{i}]"
        if function:
            cases.append(_call(function, given, expected, how, places, f"test {i}", wrapped=wrapped))
        else:
            cases.append(_script(given, expected, how, places, f"test {i}"))
    return tuple(cases)


def read_test_list(tests: Sequence[Mapping[str, Any]], how: Comparing, function: str, field: str) -> tuple[Case, ...]:
    """The cases of `[{"input", "output", "testtype"?, "fn_name"?}]`, as LiveCodeBench and others write tests."""
    cases = []
    for i, test in enumerate(tests):
        if not isinstance(test, Mapping) or "input" not in test or "output" not in test:
            raise BadTests(f'`{field}[{i}]` must be a mapping with "input" and "output"')
        kind = str(test.get("testtype") or test.get("type") or "").lower()
        metadata = test.get("metadata")
        inner = metadata.get("func_name") if isinstance(metadata, Mapping) else None
        name = test.get("fn_name") or inner or function
        if kind in ("functional", "function_call", "call") and not name:
            raise BadTests(f"`{field}[{i}]` is a call and no function is named; give `fn_name`")
        places = f"{field}[{i}].input", f"{field}[{i}].output"
        if name and kind not in ("stdin", "stdin_stdout", "io"):
            cases.append(_call(str(name), test["input"], test["output"], how, places, f"test {i}"))
        else:
            cases.append(_script(test["input"], test["output"], how, places, f"test {i}"))
    return tuple(cases)


def _pair(tests: Mapping[str, Any], field: str) -> tuple[list[Any], list[Any]]:
    columns = []
    for plural in ("inputs", "outputs"):
        values = tests.get(plural, tests.get(plural[:-1]))
        if not isinstance(values, list):
            raise BadTests(f"`{field}.{plural}` is {kind_of(values)}; write a list with one item for each test")
        columns.append(values)
    inputs, outputs = columns
    if len(inputs) != len(outputs):
        raise BadTests(f"`{field}` has {len(inputs)} inputs and {len(outputs)} outputs; each input needs one output")
    return inputs, outputs


def _script(stdin: Any, stdout: Any, how: Comparing, places: tuple[str, str], name: str) -> Case:
    case_input = Stdin(_text(stdin, places[0]))
    return Case(case_input, how.stdout(case_input, stdout, places[1]), name=name)


def _text(value: Any, place: str) -> str:
    """A text, a list of its lines, or a number."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(line, str | int | float) for line in value):
        return "\n".join(str(line) for line in value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise BadTests(f"`{place}` is {kind_of(value)}; write a text, or name the function to call as `fn_name`")


def _call(
    function: str, args: Any, value: Any, how: Comparing, places: tuple[str, str], name: str, *, wrapped: bool = False
) -> Case:
    kwargs: dict[str, Any] = {}
    if isinstance(args, str):
        args = [_json(line, f"{places[0]}, line {i + 1}") for i, line in _lines(args)]
        value = _json(value, places[1]) if isinstance(value, str) else value
    elif isinstance(args, dict) and all(isinstance(key, str) and key.isidentifier() for key in args):
        args, kwargs = [], args
    elif not isinstance(args, list):
        raise BadTests(f"`{places[0]}` is {kind_of(args)}; write a list of the arguments, or one JSON value per line")
    try:
        call = Call(function, tuple(plain(args, "it")), plain(kwargs, "it"))
        value = plain(value, "it")
    except NotPlain as error:
        raise BadTests(f"`{places[0]}` or `{places[1]}`: {error}; write JSON values") from None
    check = how.value(call, value)
    if wrapped and how.checker != "one_of":  # whose outputs are lists
        check = AnyOf((how.value(call, value[0]), check))
    return Case(call, check, name=name)


def _is_wrapped(inputs: list[Any], outputs: list[Any]) -> bool:
    """Whether each output is a list of one item beside arguments that are parsed already: APPS and TACO wrap what is
    returned, and do not say so. Either is accepted then.
    """
    return (
        bool(outputs)
        and all(isinstance(value, list) and len(value) == 1 for value in outputs)
        and all(isinstance(args, list) for args in inputs)
    )


def _lines(text: str) -> list[tuple[int, str]]:
    return [(i, line) for i, line in enumerate(text.split("\n")) if line.strip()]


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadTests(f"`{place}` is not JSON ({str(error)[:80]}): {text[:60]!r}; write one JSON value") from None


def kind_of(value: Any) -> str:
    names = {"NoneType": "missing", "dict": "a mapping", "list": "a list", "str": "a text", "bool": "a boolean"}
    return names.get(type(value).__name__, f"a {type(value).__name__}")
