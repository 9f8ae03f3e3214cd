"""Rows of the benchmarks, as they are published, become tests."""

from __future__ import annotations

import base64
import json
import pickle
import random
import zlib
from typing import Any

import pytest

from tests.verifiers.code.judging import failures, judged
from verifiers.code.formats.reading import FORMATS, read_tests
from verifiers.code.types import BadTests, Check
from verifiers.sandbox.types import Call, Ending, Outcome, Stdin

ADD = "def f(a, b): return a + b"
SUB = "def f(a, b): return a - b"


def printed(check: Check, text: str) -> str:
    return check.failure(Outcome(Ending.FINISHED, stdout=text.encode()))


# Standard input and output


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("name", ["", None, "missing"])
def test_inputs_and_outputs_are_standard_input_and_output(text: bool, nested: bool, name: str | None) -> None:
    tests: dict[str, Any] = {"inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7\n"], "fn_name": name}
    if name == "missing":
        del tests["fn_name"]
    row: Any = {"tests": json.dumps(tests) if text else tests} if nested else tests
    first, second = read_tests(json.dumps(row) if text else row).cases
    assert (first.input, second.input) == (Stdin("1 2\n"), Stdin("3 4\n"))
    assert (first.name, second.name) == ("test 0", "test 1")
    assert printed(first.check, "3") == ""
    assert printed(first.check, "7") != ""


def test_numbers_on_standard_output_are_equal_as_decimals_by_default() -> None:
    (case,) = read_tests({"inputs": ["1"], "outputs": ["1.50 x"]}).cases
    assert printed(case.check, "1.5 x\n") == ""
    assert printed(case.check, "1.5000001 x\n") != ""
    assert printed(case.check, "1.5 X\n") != ""


def test_a_row_can_say_how_output_is_compared() -> None:
    (lines,) = read_tests({"inputs": [""], "outputs": ["1.50"], "compare": "lines"}).cases
    assert printed(lines.check, "1.5") != ""
    (near,) = read_tests({"inputs": [""], "outputs": ["1.50"], "float_tolerance": 0.01}).cases
    assert printed(near.check, "1.505") == ""
    (tokens,) = read_tests({"inputs": [""], "outputs": ["1 2"], "compare": "tokens"}).cases
    assert printed(tokens.check, "1\n2\n") == ""
    (anyhow,) = read_tests({"inputs": [""], "outputs": ["b\na"], "checker": "lines_in_any_order"}).cases
    assert printed(anyhow.check, "a\nb") == ""


def test_lines_of_input_and_numbers_are_written_out() -> None:
    (case,) = read_tests({"inputs": [["1", "2"]], "outputs": [3]}).cases
    assert case.input == Stdin("1\n2")
    assert printed(case.check, "3\n") == ""


# Calls


@pytest.mark.parametrize(
    ("given", "expected"),
    [("1\n2", "3"), ("1\n2\n", "3"), ([1, 2], 3), ({"a": 1, "b": 2}, 3), ("1\n2", 3)],
)  # fmt: skip
def test_a_named_function_is_called_with_json_values(given: Any, expected: Any) -> None:
    row = {"tests": {"fn_name": "f", "inputs": [given], "outputs": [expected]}}
    assert judged(ADD, row) == [""]
    assert judged(SUB, row) != [""]
    assert judged("class Solution:\n    def f(self, a, b): return a + b", row) == [""]
    assert judged("class Solution:\n    def f(self, a, b): return a - b", row) != [""]


def test_a_function_at_the_top_goes_before_one_of_the_same_name_in_solution() -> None:
    row = {"tests": {"fn_name": "f", "inputs": [[1, 2]], "outputs": [3]}}
    assert judged(f"{ADD}\nclass Solution:\n    def f(self, a, b): return f(a, b) * 0", row) == [""]


def test_json_values_compare_without_the_holes_of_weaker_scorers() -> None:
    def passes(expected: Any, got: Any) -> bool:
        (case,) = read_tests({"fn_name": "f", "inputs": ["1"], "outputs": [json.dumps(expected)]}).cases
        return case.check.failure(Outcome(Ending.FINISHED, got)) == ""

    assert passes([5, 7, 9], (5, 7, 9))
    assert not passes([5, 7, 9], 5)
    assert not passes([5], 5)
    assert not passes(True, 1)
    assert not passes(1, True)
    assert passes(100000.0, 100000.00000001)
    assert not passes(100000.0, 100000.9)
    assert passes({"1": 2}, {1: 2})
    assert not passes("3", 3)
    assert not passes([1, 2], {1, 2})


def test_wrapped_outputs_beside_parsed_arguments_are_accepted_both_ways() -> None:
    row = {"fn_name": "f", "inputs": [[[1, 2]], [[3]]], "outputs": [[3], [3]]}
    assert judged("def f(x): return sum(x)", row) == ["", ""]
    assert judged("def f(x): return [sum(x)]", row) == ["", ""]
    assert "" not in judged("def f(x): return [sum(x), 0]", row)
    assert "" not in judged("def f(x): return 0", row)


def test_lists_of_single_tests_are_read_with_their_kind() -> None:
    rows = [
        {"input": "1\n2", "output": "3", "testtype": "functional"},
        {"type": "function_call", "fn_name": "f", "input": [1, 2], "output": 3},
        {"type": "stdin_stdout", "input": "1 2", "output": "3"},
    ]
    tests = read_tests({"tests": rows, "fn_name": "f"})
    assert [type(case.input) for case in tests.cases] == [Call, Call, Stdin]
    assert failures(ADD, read_tests({"tests": rows[:2], "fn_name": "f"})) == ["", ""]


# LiveCodeBench


def lcb_row(private: str, function: str = "f") -> dict[str, Any]:
    public = [{"input": "1\n2", "output": "3", "testtype": "functional"}]
    metadata = {"func_name": function} if function else {}
    return {
        "question_content": "Add.",
        "starter_code": "class Solution: ...",
        "public_test_cases": json.dumps(public),
        "private_test_cases": private,
        "metadata": json.dumps(metadata),
    }


PRIVATE = json.dumps([{"input": "3\n4", "output": "7", "testtype": "functional"}])


def packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


@pytest.mark.parametrize(
    "private", [PRIVATE, packed(pickle.dumps(PRIVATE)), packed(pickle.dumps(PRIVATE, protocol=0))],
)  # fmt: skip
def test_rows_of_livecodebench_are_read_as_they_are(private: str) -> None:
    tests = read_tests(lcb_row(private))
    assert [case.visible for case in tests.cases] == [True, False]
    assert failures("class Solution:\n    def f(self, a, b): return add(a, b)", tests) == ["", ""]
    assert failures("class Solution:\n    def f(self, a, b): return a - b", tests)[1] != ""


def test_public_tests_decide_where_there_are_no_others() -> None:
    (case,) = read_tests(lcb_row("[]")).cases
    assert not case.visible


def test_standard_input_problems_of_livecodebench() -> None:
    row = lcb_row(json.dumps([{"input": "3 4\n", "output": "7\n", "testtype": "stdin"}]), function="")
    row["public_test_cases"] = "[]"
    (case,) = read_tests(row).cases
    assert case.input == Stdin("3 4\n")


class Evil:
    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('a pickle ran')",)


@pytest.mark.parametrize(
    ("private", "message"),
    [
        (packed(pickle.dumps(Evil())), "does more than hold one text"),
        (packed(pickle.dumps([PRIVATE])), "does more than hold one text"),
        (packed(pickle.dumps((PRIVATE, PRIVATE))), "does more than hold one text"),
        (packed(pickle.dumps(b"x")), "not a pickle of one text"),
        (packed(b"cos\nsystem\n."), "not a pickle of one text"),
        (packed(b"\x80\x04."), "a pickle without a text"),
        (packed(b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx"), "not a pickle of one text"),
        (packed(pickle.dumps(PRIVATE))[:-8], "cut off|neither JSON nor base64|not compressed"),
        (base64.b64encode(b"abc").decode(), "not compressed by zlib"),
        ("[{", "neither JSON nor base64"),
        (json.dumps({"input": "x"}), "must be a JSON list"),
        (json.dumps([{"input": "x"}]), r"`private_test_cases\[0\]` must be"),
        (json.dumps([{"input": "{", "output": "3"}]), r"private_test_cases\[0\].input, line 1` is not JSON"),
    ],
)  # fmt: skip
def test_private_tests_that_hold_anything_but_text_are_refused_and_nothing_of_them_runs(
    private: str, message: str
) -> None:
    with pytest.raises(BadTests, match=message):
        read_tests(lcb_row(private))


def test_private_tests_that_inflate_without_end_are_refused_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("verifiers.code.formats.unpickle.MAX_BYTES", 1 << 20)
    with pytest.raises(BadTests, match="inflates to more than 1 MB"):
        read_tests(lcb_row(packed(b"\0" * (2 << 20))))


# CodeContests


def contests_row(**others: Any) -> dict[str, Any]:
    one = {"input": ["1\n"], "output": ["1 2.5\n"]}
    return {"description": "Add.", "public_tests": one, "private_tests": one, "generated_tests": one} | others


def test_rows_of_codecontests_are_read_as_they_are() -> None:
    cases = read_tests(contests_row()).cases
    assert [case.visible for case in cases] == [True, False, False]
    assert [case.name for case in cases] == ["public test 0", "private test 0", "generated test 0"]
    for text, right in (("1\n2.5", True), ("1 2.5000001", True), ("1.0000001 2.5", False), ("2.5 1", False)):
        assert (printed(cases[0].check, text) == "") is right, text


def test_public_tests_of_codecontests_decide_where_there_are_no_others() -> None:
    empty: dict[str, Any] = {"input": [], "output": []}
    (case,) = read_tests(contests_row(private_tests=empty, generated_tests=None)).cases
    assert not case.visible


def test_groups_of_codecontests_may_be_lists_of_tests() -> None:
    one = [{"input": "1\n", "output": "2\n"}]
    cases = read_tests({"public_tests": one, "private_tests": one}).cases
    assert [(case.input, case.visible) for case in cases] == [(Stdin("1\n"), True), (Stdin("1\n"), False)]


def test_problems_that_read_files_are_refused() -> None:
    with pytest.raises(BadTests, match=r"`input_file` is 'in\.txt'"):
        read_tests(contests_row(input_file="in.txt"))


# EvalPlus


def plus_row(**others: Any) -> dict[str, Any]:
    row = {"entry_point": "f", "base_input": [[1, 2]], "plus_input": [[0.1, 0.2]], "atol": 0}
    return row | {"expected_output": {"base": [3], "plus": [0.30000001]}} | others


def test_rows_of_evalplus_with_expected_outputs_become_cases() -> None:
    assert judged(ADD, plus_row()) == ["", ""]
    assert judged("def f(a, b): return a + b + 1e-5", plus_row()) != ["", ""]
    assert judged("def f(a, b): return a + b + 1e-5", plus_row(atol=1e-3))[1] == ""


def test_functions_that_evalplus_compares_in_another_way_are_compared_so() -> None:
    row = plus_row(entry_point="similar_elements", base_input=[[[1, 2], [2, 3]]], plus_input=[])
    row["expected_output"] = {"base": [[2, 1]]}
    assert judged("def similar_elements(a, b): return (1, 2)", row) == [""]
    assert judged("def similar_elements(a, b): return (1, 3)", row) != [""]
    row = plus_row(entry_point="find_zero", base_input=[[[2, 1]]], plus_input=[], expected_output={"base": [-2.5]})
    assert judged("def find_zero(xs): return -2.0", row) == [""]


def test_rows_of_evalplus_without_them_run_the_reference_in_a_text_of_its_own() -> None:
    row = plus_row(canonical_solution="    return a + b\n", prompt="def f(a, b):\n    '''Sum.'''\n")
    del row["expected_output"]
    texts = read_tests(row).texts
    assert [text.functions for text in texts] == [("f",), ("f",)]
    for text in texts:
        exec(text.source, {"f": lambda a, b: a + b})
        with pytest.raises(AssertionError):
            exec(text.source, {"f": lambda a, b: a + b + 1})


def test_humanevals_own_tests_beside_the_inputs_of_evalplus_decide_too() -> None:
    row = plus_row(canonical_solution="    return a + b\n", prompt="def f(a, b):\n    '''Sum.'''\n")
    row["test"] = "def check(candidate):\n    assert candidate(5, 6) == 11\n"
    del row["expected_output"]
    tests = read_tests(row)
    assert failures(ADD, tests) == [""] and len(tests.texts) == 2
    assert failures(SUB, tests) != [""]


def test_evalplus_texts_are_strict_about_types_and_near_about_floats() -> None:
    row = plus_row(canonical_solution="def f(a, b):\n    return [a + b, float(a)]", base_input=[[1, 2]], plus_input=[])
    del row["expected_output"]
    (text,) = read_tests(row | {"atol": 1e-3}).texts
    for value, right in (([3, 1.0], True), ([3, 1.0001], True), ([3, 1.1], False), ((3, 1.0), False), ([3], False)):
        try:
            exec(text.source, {"f": lambda a, b, value=value: value})
            passed = True
        except AssertionError:
            passed = False
        assert passed is right, value


# What all formats share


@pytest.mark.parametrize("row", [
    {"task_id": "HumanEval/0", "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n", "entry_point": "f",
     "prompt": "def f(a, b):\n    '''Sum.'''\n", "canonical_solution": "    return a + b\n"},
    {"task_id": 1, "text": "Add.", "test_list": ["assert f(1, 2) == 3"], "test_setup_code": "",
     "challenge_test_list": []},
    {"task_id": 1, "prompt": "Add.", "test_list": ["assert f(1, 2) == 3"], "test_imports": ["import math"]},
    {"tests": "assert f(1, 2) == 3\nassert f(2, 2) == 4"},
    {"tests": json.dumps(["assert f(1, 2) == 3"])},
    ["assert f(1, 2) == 3"],
    {"input_output": json.dumps({"fn_name": "f", "inputs": [[1, 2]], "outputs": [3]})},
    {"ground_truth": json.dumps({"tests": ["assert f(1, 2) == 3"]})},
    {"test_cases": ["assert f(1, 2) == 3"]},
    {"verification_info": json.dumps({"language": "python", "test_cases": [
        {"type": "function_call", "fn_name": "f", "input": "1\n2", "output": "3"}]})},
    {"tests": "[1]\nassert f(1, 2) == 3"},
])  # fmt: skip
def test_rows_are_read_under_the_names_that_their_publishers_use(row: Any) -> None:
    tests = read_tests(row)
    assert set(failures(ADD, tests)) == {""}
    assert set(failures(SUB, tests)) != {""}


def test_imports_of_the_benchmark_stand_before_the_program() -> None:
    row: dict[str, Any] = {"tests": ["assert f(9) == 3"], "test_imports": ["import math"]}
    assert judged("def f(x): return math.isqrt(x)", row) == [""]
    row = {"tests": ["assert f(9) == 3"], "test_setup_code": "import math\r\nx = 1"}
    assert judged("def f(x): return math.isqrt(x)", row) == [""]


def test_classes_of_the_benchmark_stand_before_the_program_and_values_of_the_tests_do_not() -> None:
    setup = "class Node:\n    def __init__(self, value):\n        self.value = value\nexpected = 3\n"
    tests = read_tests({"tests": ["assert f(3) == expected"], "test_setup_code": setup})
    assert "class Node" in tests.prelude and "expected" not in tests.prelude
    assert failures("def f(x): return Node(x).value", tests) == [""]


def test_arguments_of_the_entry_point_may_stand_beside_it() -> None:
    row: dict[str, Any] = {"tests": {"inputs": [[1, 2]], "outputs": [3]}, "entry_point": "f"}
    assert judged(ADD, row) == [""]
    (case,) = read_tests({**row, "tests": {"inputs": ["1 2"], "outputs": ["3"]}, "format": "stdin_stdout"}).cases
    assert case.input == Stdin("1 2")


def test_a_call_may_have_the_format_function() -> None:
    assert judged(ADD, {"tests": {"fn_name": "f", "inputs": [[1, 2]], "outputs": [3]}, "format": "function"}) == [""]


@pytest.mark.parametrize("name", [name for name, family in FORMATS.items() if family == "asserts"])
def test_a_format_may_be_named(name: str) -> None:
    assert judged(ADD, {"tests": ["assert f(1, 2) == 3"], "format": name}) == [""]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "there are no tests"),
        ({"tests": None}, "there are no tests"),
        ({"tests": ""}, "asserts nothing"),
        ({"tests": {}}, "there are no tests"),
        ({"tests": {"inputs": []}}, "`tests.outputs` is missing"),
        ({"tests": {"inputs": [], "outputs": []}}, "`tests` is empty"),
        ({"tests": {"inputs": "1", "outputs": ["2"]}}, "`tests.inputs` is a text"),
        ({"tests": {"inputs": ["1"], "outputs": []}}, "1 inputs and 0 outputs"),
        ({"tests": {"inputs": [{}], "outputs": ["1"]}}, r"`tests.inputs\[0\]` is a mapping"),
        ({"tests": {"inputs": ["1"], "outputs": [None]}}, r"`tests.outputs\[0\]` is missing"),
        ({"tests": {"inputs": ["1"], "outputs": [True]}}, r"`tests.outputs\[0\]` is a boolean"),
        ({"tests": {"fn_name": 3, "inputs": ["1"], "outputs": ["1"]}}, "`tests.fn_name` is a int"),
        ({"tests": {"fn_name": "f", "inputs": ["1 2"], "outputs": ["1"]}}, r"`tests.inputs\[0\], line 1` is not JSON"),
        ({"tests": {"fn_name": "f", "inputs": ["1"], "outputs": ["(1,"]}}, r"`tests.outputs\[0\]` is not JSON"),
        ({"tests": {"fn_name": "f", "inputs": [1], "outputs": ["1"]}}, r"`tests.inputs\[0\]` is a int"),
        ({"tests": [{"input": "1"}]}, r"`tests\[0\]` must be a mapping"),
        ({"tests": [{"input": "1", "output": "1", "testtype": "functional"}]}, "give `fn_name`"),
        ({"tests": "{'inputs': []}"}, "`tests` looks like JSON and is not"),
        ("not json", "looks like JSON and is not"),
        (3, "neither a mapping nor a list"),
        ({"tests": ["assert f(1) == 1"], "format": "nonsense"}, "`format` is 'nonsense'"),
        ({"tests": ["assert f(1) == 1"], "format": "stdin_stdout"}, "the shape of asserts"),
        ({"inputs": ["1"], "outputs": ["1"], "format": "call"}, "give `fn_name`"),
        ({"tests": ["assert f(1) == 1"], "language": "cpp"}, "`language` is 'cpp': only Python"),
        ({"inputs": ["1"], "outputs": ["1"], "compare": "x"}, "`compare` is 'x'"),
        ({"inputs": ["1"], "outputs": ["1"], "float_tolerance": "x"}, "`float_tolerance` is 'x'"),
        ({"inputs": ["1"], "outputs": ["1"], "checker": "any_ordr"}, "did you mean 'any_order'"),
        ({"public_test_cases": "[]", "private_test_cases": "[]"}, "are empty"),
        (contests_row(public_tests={"input": [], "output": []}, private_tests=None, generated_tests=None), "are empty"),
        (contests_row(private_tests=["1"]), r"`private_tests\[0\]` must be a mapping"),
        (contests_row(private_tests="1"), "`private_tests` must be a mapping"),
        (plus_row(entry_point=None), "`entry_point` is missing"),
        (plus_row(expected_output=None), "comes without `expected_output`"),
        (plus_row(expected_output={"base": [3], "plus": []}), "`expected_output.plus` must be a list of 1 values"),
        (plus_row(base_input=[1]), "`base_input` must be a list of lists"),
        (plus_row(atol="x"), "`atol` is 'x'"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_read_are_refused_in_one_sentence(row: Any, message: str) -> None:
    with pytest.raises(BadTests, match=message) as raised:
        read_tests(row)
    assert "\n" not in str(raised.value)


WEIRD: list[Any] = [
    None, 0, -1, 1.5, True, "", "x", "[", "{}", [], [None], [[]], {}, {"a": 1}, "\x00", "\ud800", 10**30, float("nan"),
    "assert", "def f(:", "return f(1)\nassert f(1) == f(2)", {"inputs": [1]}, [{"input": 1}],
]  # fmt: skip


def damaged(value: Any, rng: random.Random) -> Any:
    """A copy of a row in which one thing is something else."""
    if rng.random() < 0.15:
        return rng.choice(WEIRD)
    if isinstance(value, dict) and value:
        key = rng.choice(sorted(value))
        return {**value, key: damaged(value[key], rng)}
    if isinstance(value, list) and value:
        position = rng.randrange(len(value))
        return [*value[:position], damaged(value[position], rng), *value[position + 1 :]]
    if isinstance(value, str) and value:
        position = rng.randrange(len(value))
        sign = rng.choice(["", "(", ")", "\n", "'", "0", "assert ", "[", "\\", ":", "=="])
        return value[:position] + sign + value[position + rng.randint(0, 8) :]
    return rng.choice(WEIRD)


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_row_is_read_or_refused_in_one_sentence(seed: int) -> None:
    rng = random.Random(seed)
    rows = [
        lcb_row(PRIVATE), contests_row(), plus_row(), {"fn_name": "f", "inputs": ["1\n2"], "outputs": ["3"]},
        {"tests": ["def check(candidate):\n    for x, y in [(1, 2)]:\n        assert candidate(x, [y]) == {x: y}\n"],
         "entry_point": "f", "prompt": "import math\ndef f(a, b):\n    pass\n", "test_setup_code": "import math"},
        {"tests": ["assert abs(f('a', b=[1.5]) - 0.5) < 1e-6", "assert f(1) == f(2)"], "visible": [0]},
    ]  # fmt: skip
    refused = 0
    for _ in range(400):
        row = damaged(rng.choice(rows), rng)
        try:
            read_tests(damaged(row, rng))
        except BadTests as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 600
    assert 100 < refused < 390
