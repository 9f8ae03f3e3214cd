"""Programming problems: rows of ours, and of the benchmarks as they are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonrl.data import load_problems
from reasonrl.data.convert import from_verl, to_verl
from reasonrl.errors import DataError
from verifiers.types import Problem

HUMAN_EVAL = {
    "task_id": "HumanEval/900",
    "prompt": 'def double(x):\n    """ Twice x. """\n',
    "canonical_solution": "    return 2 * x\n",
    "entry_point": "double",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
}
MBPP: dict[str, Any] = {
    "task_id": 601,
    "text": "Write a function to double a number.",
    "code": "def double(x):\n  return 2 * x",
    "test_list": ["assert double(2) == 4", "assert double(0) == 0"],
    "test_setup_code": "",
    "challenge_test_list": [],
}
LIVE = {
    "question_id": "abc_1",
    "question_title": "Sum",
    "question_content": "Print the sum of two numbers.",
    "starter_code": "",
    "difficulty": "easy",
    "public_test_cases": json.dumps([{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]),
    "private_test_cases": "eJwBAAD//w==",
    "metadata": "{}",
}
CONTEST = {
    "name": "900_A. Sum",
    "description": "Print the sum of two numbers.",
    "public_tests": {"input": ["1 2\n"], "output": ["3\n"]},
    "private_tests": {"input": [], "output": []},
    "generated_tests": {"input": ["3 4\n"], "output": ["7\n"]},
    "solutions": {"language": [3], "solution": ["print(sum(map(int, input().split())))"]},
    "incorrect_solutions": {"language": [], "solution": []},
    "time_limit": {"seconds": 2, "nanos": 0},
    "input_file": "",
    "output_file": "",
    "cf_rating": 800,
}


def loaded(folder: Path, *rows: dict[str, Any], **arguments: Any) -> list[Problem]:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return load_problems(str(path), **arguments)


def test_human_eval(tmp_path: Path) -> None:
    (problem,) = loaded(tmp_path, HUMAN_EVAL)
    assert (problem.id, problem.kind, problem.source) == ("HumanEval/900", "code", "humaneval")
    assert problem.prompt == HUMAN_EVAL["prompt"] and problem.meta == {}
    assert problem.reference == {
        "prompt": HUMAN_EVAL["prompt"],
        "entry_point": "double",
        "tests": [f"{HUMAN_EVAL['test']}\n\ncheck(double)\n"],
        "solution": "    return 2 * x\n",
    }
    called = {**HUMAN_EVAL, "test": f"{HUMAN_EVAL['test']}\ncheck(double)"}
    assert loaded(tmp_path, called)[0].reference["tests"] == [called["test"]]


def test_eval_plus_keeps_its_inputs_and_tolerance(tmp_path: Path) -> None:
    plus = {**HUMAN_EVAL, "base_input": [[2]], "plus_input": [[3]], "atol": 1e-6, "contract": ""}
    reference = loaded(tmp_path, plus)[0].reference
    assert (reference["base_input"], reference["plus_input"], reference["atol"]) == ([[2]], [[3]], 1e-6)
    assert "contract" not in reference


def test_mbpp_shows_its_first_test(tmp_path: Path) -> None:
    (problem,) = loaded(tmp_path, MBPP)
    assert (problem.id, problem.source) == ("mbpp/601", "mbpp")
    assert problem.prompt == (
        "Write a function to double a number.\nThe code must pass this test:\nassert double(2) == 4"
    )
    assert problem.reference == {"tests": MBPP["test_list"], "solution": MBPP["code"]}


def test_the_imports_of_sanitised_mbpp_run_before_the_program(tmp_path: Path) -> None:
    row = {name: value for name, value in MBPP.items() if name not in ("text", "test_setup_code")}
    (problem,) = loaded(tmp_path, {**row, "prompt": "Double.", "test_imports": ["import math", "import re"]})
    assert problem.reference["test_setup_code"] == "import math\nimport re"


@pytest.mark.parametrize(
    ("starter", "ending"),
    [
        ("", "Read the input from standard input and write the answer to standard output."),
        ("class Solution:\n    def f(self):\n        ", "```python\nclass Solution:\n    def f(self):\n```"),
    ],
)
def test_live_code_bench(tmp_path: Path, starter: str, ending: str) -> None:
    (problem,) = loaded(tmp_path, {**LIVE, "starter_code": starter})
    assert (problem.id, problem.source) == ("abc_1", "livecodebench")
    assert isinstance(problem.prompt, str) and problem.prompt.endswith(ending)
    tests = {name: LIVE[name] for name in ("public_test_cases", "private_test_cases", "metadata")}
    assert problem.reference == tests | ({"starter_code": starter} if starter else {})
    assert problem.meta == {"question_title": "Sum", "difficulty": "easy"} | ({} if starter else {"starter_code": ""})


def test_code_contests_without_solutions_and_without_problems_on_files(tmp_path: Path) -> None:
    (problem,) = loaded(tmp_path, {**CONTEST, "name": "on a file", "input_file": "input.txt"}, CONTEST)
    assert (problem.id, problem.source, problem.meta) == ("900_A. Sum", "code_contests", {"cf_rating": 800})
    assert set(problem.reference) == {"public_tests", "private_tests", "generated_tests", "time_limit"}
    with pytest.raises(DataError, match="the data set is empty"):
        loaded(tmp_path, {**CONTEST, "output_file": "output.txt"})


def test_rows_of_ours(tmp_path: Path) -> None:
    asserts = {"id": "a", "prompt": "Double.", "tests": ["assert double(2) == 4"], "reference": "def double(x): ..."}
    streams = {"prompt": "Add.", "tests": {"inputs": ["1 2"], "outputs": ["3"]}, "topic": "sums", "format": "stdin"}
    first, second = loaded(tmp_path, asserts, streams)
    assert (first.id, first.kind, first.prompt) == ("a", "code", "Double.")
    assert first.reference == {
        "tests": asserts["tests"],
        "prompt": "Double.",
        "solution": asserts["reference"],
    }
    assert (second.id, second.meta) == ("rows/2", {"topic": "sums"})
    assert second.reference == {"tests": streams["tests"], "format": "stdin", "prompt": "Add."}


def test_columns_of_other_names_are_mapped(tmp_path: Path) -> None:
    row = {"q": "Double.", "asserts": ["assert d(2) == 4"], "name": "d", "program": "def d(x): return 2 * x"}
    columns = {"prompt": "q", "tests": "asserts", "entry_point": "name", "solution": "program"}
    (problem,) = loaded(tmp_path, row, columns=columns, kind="code")
    assert (problem.prompt, problem.kind, problem.meta) == ("Double.", "code", {})
    assert problem.reference == {
        "tests": row["asserts"],
        "entry_point": "d",
        "prompt": "Double.",
        "solution": row["program"],
    }


def test_the_recipe_may_say_that_rows_are_programs(tmp_path: Path) -> None:
    row = {"prompt": "Add.", "inputs": ["1 2"], "outputs": ["3"], "answer": None}
    (problem,) = loaded(tmp_path, row, kind="code")
    assert problem.reference == {"inputs": ["1 2"], "outputs": ["3"], "prompt": "Add."}
    with pytest.raises(DataError, match="the answer is missing or empty"):
        loaded(tmp_path, row)


def test_mbpp_plus_is_judged_by_its_complete_tests(tmp_path: Path) -> None:
    (problem,) = loaded(tmp_path, {**MBPP, "test": "for x in range(99): assert double(x) == 2 * x"})
    assert problem.reference["tests"] == ["for x in range(99): assert double(x) == 2 * x"]
    assert isinstance(problem.prompt, str) and problem.prompt.endswith(MBPP["test_list"][0])


@pytest.mark.parametrize(
    "ground_truth",
    [
        {"inputs": ["1 2"], "outputs": ["3"]},
        {"fn_name": "double", "inputs": ["2"], "outputs": ["4"]},
        ["assert double(2) == 4"],
    ],
)
def test_rows_of_verl_with_tests_as_their_ground_truth(ground_truth: Any) -> None:
    row = {
        "data_source": "codecontests",
        "prompt": [{"role": "user", "content": "Add."}],
        "ability": "code",
        "reward_model": {"style": "rule", "ground_truth": json.dumps(ground_truth)},
        "extra_info": {"index": 0},
    }
    (problem,) = from_verl([row])
    assert problem.kind == "code"
    assert problem.reference == (ground_truth if isinstance(ground_truth, dict) else {"tests": ground_truth})


def test_problems_go_to_verl_and_back(tmp_path: Path) -> None:
    problems = loaded(tmp_path, HUMAN_EVAL, MBPP, LIVE, CONTEST)
    assert from_verl(to_verl(problems)) == problems


@pytest.mark.parametrize(
    ("row", "kind", "reference"),
    [
        ({"prompt": "q", "answer": "1", "tests": ["x"]}, "math", {"answer": "1"}),
        ({"prompt": "q", "solution": "so \\boxed{1}", "tests": ["x"]}, "math", {"answer": "1"}),
        ({"prompt": "q", "kind": "sorting", "reference": {"a": 1}, "tests": ["x"]}, "sorting", {"a": 1}),
    ],
)
def test_a_row_of_another_kind_may_have_tests_too(
    tmp_path: Path, row: dict[str, Any], kind: str, reference: dict[str, Any]
) -> None:
    (problem,) = loaded(tmp_path, row)
    assert (problem.kind, problem.reference, problem.meta) == (kind, reference, {"tests": ["x"]})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "q", "tests": []}, "the tests of a code reference are empty; write assert statements"),
        ({"prompt": "q", "tests": None}, "the tests of a code reference are empty"),
        ({"prompt": "q", "kind": "code", "checks": "assert f() == 1"}, "no column 'tests' or 'reference'"),
        ({"tests": ["assert f() == 1"]}, "no column 'prompt', 'problem' or 'question'"),
        ({**MBPP, "test_list": []}, "test_list must be a list of at least one assert statement"),
        ({**MBPP, "text": ""}, "no column 'text' or 'prompt' with the task"),
        ({**LIVE, "question_content": None}, "the row cannot be read: AttributeError"),
        ({**HUMAN_EVAL, "test": None}, "a code reference needs 'tests'"),
    ],
)
def test_mistakes_name_the_field(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        loaded(tmp_path, row)
    assert "line 1: " in str(caught.value) and message in str(caught.value)


def test_a_local_copy_of_a_benchmark(tmp_path: Path) -> None:
    (tmp_path / "copy.jsonl").write_text(json.dumps(MBPP))
    (problem,) = load_problems("mbpp", options={"path": str(tmp_path / "copy.jsonl")})
    assert (problem.id, problem.kind) == ("mbpp/601", "code")
    (tmp_path / "copy.jsonl").write_text('{"prompt": "q", "answer": "1"}')
    with pytest.raises(DataError, match="no column 'tests' or 'reference'"):
        load_problems("mbpp", options={"path": str(tmp_path / "copy.jsonl")})
