"""Programming problems as problems of kind "code", and the shapes in which others publish them.

    {"tests", "prompt", "entry_point", "test_setup_code", "format", "solution"}     the reference; only tests are needed

Read as they are: rows of HumanEval and EvalPlus (canonical_solution, entry_point, test), of MBPP (code, test_list), of
LiveCodeBench (question_content, public_test_cases), of CodeContests (description, public_tests), and our own (prompt,
tests). Tests stay as they were published: `verifiers.code` reads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from reasonrl.data.answers import boxed_answer, marked_answer
from reasonrl.data.json_text import with_plain_numbers
from reasonrl.data.values import is_blank, parsed
from verifiers.code.fields import ROW_FIELDS, SOLUTION_FIELDS, TEST_FIELDS

FIELDS = ("tests", "entry_point", "test_setup_code", "format")
"""Fields of a reference that may be columns of a row of ours, so that `columns` may map them."""
_SOLUTIONS = ("solution", "canonical_solution", "code", "reference")
_READS_STDIN = "Read the input from standard input and write the answer to standard output."


def read(row: dict[str, Any], kind: str) -> dict[str, Any] | None:
    """The fields of a programming problem; None for any other row. Raises ValueError for a row that lacks what its
    shape needs.

    Args:
        kind: of the source. "code": tests may have any of the names of TEST_FIELDS, not only "tests". "math" is that of
            a source which names none; its rows may be programs. Rows of other kinds are not.
    """
    if kind not in ("code", "math"):
        return None
    for needed, read_shape in _SHAPES:
        if needed <= row.keys():
            return read_shape(row)
    names = TEST_FIELDS if kind == "code" or row.get("kind") == "code" else TEST_FIELDS[:1]
    return _ours(row) if any(name in row for name in names) else None


def _ours(row: dict[str, Any]) -> dict[str, Any] | None:
    """Of a row with tests; None if it has a reference of another kind too."""
    if not is_blank(row.get("answer")) or row.get("kind") not in (None, "code"):
        return None
    if isinstance(parsed(row.get("reference")), dict) or "reward_model" in row or _is_mathematical(row.get("solution")):
        return None
    reference = {name: row[name] for name in _READ if name in row and (name == "tests" or not is_blank(row[name]))}
    question = next((row[name] for name in ("prompt", "problem", "question") if not is_blank(row.get(name))), None)
    if isinstance(question, str):
        reference["prompt"] = question
    fields = {"id": row.get("id"), "kind": "code", "source": _text(row.get("source") or row.get("suite"))}
    fields["reference"] = _with_solution(reference, row)
    if question is not None:
        fields["prompt"] = question
    meta = _others(row, reference, *_SOLUTIONS, *_OWN, "solutions")
    return fields | {"prompt_form": _form(row, question), "meta": meta}


def list_of_tests(answer: Any) -> list[Any] | None:
    """The tests that stand where other kinds have an answer, as verl's ground truth: a list, or its JSON text."""
    if isinstance(answer, str) and answer.lstrip().startswith("["):
        try:
            answer = json.loads(answer)
        except (ValueError, RecursionError):
            return None
    return answer if isinstance(answer, list) and answer else None


def reads_files(row: Mapping[str, Any]) -> bool:
    """Whether a row of CodeContests is about a file of a fixed name, which no program can read in a sandbox."""
    return "public_tests" in row and not (is_blank(row.get("input_file")) and is_blank(row.get("output_file")))


def missing_tests(reference: Mapping[str, Any]) -> str:
    """What a reference lacks; empty if it has tests. Their content is read by the verifier."""
    if any(reference.get(name) for name in TEST_FIELDS):
        return ""
    lack = "the tests of a code reference are empty" if "tests" in reference else "a code reference needs 'tests'"
    return f"{lack}; write assert statements ['assert f(1) == 2'], or {{'inputs': [...], 'outputs': [...]}}"


def _human_eval(row: dict[str, Any]) -> dict[str, Any]:
    """HumanEval, and EvalPlus where it has its columns beside them."""
    name, source = row["entry_point"], "humaneval"
    reference = {"prompt": row["prompt"], "entry_point": name}
    reference |= {key: row[key] for key in _EVAL_PLUS if not is_blank(row.get(key))}
    if not is_blank(row.get("test")):
        reference["tests"] = [_with_call(row["test"], name)]
    fields = {"id": row.get("task_id"), "prompt": row["prompt"], "prompt_form": "text", "kind": "code"}
    return fields | {"source": source, "reference": _with_solution(reference, row), "meta": {}}


def _with_call(test: str, name: str) -> str:
    """HumanEval defines `check` and leaves its call to the scorer."""
    return test if f"check({name})" in test else f"{test}\n\ncheck({name})\n"


def _mbpp(row: dict[str, Any]) -> dict[str, Any]:
    tests = row["test_list"]
    if not isinstance(tests, list) or not tests or not all(isinstance(test, str) for test in tests):
        raise ValueError("test_list must be a list of at least one assert statement")
    question = next((row[name] for name in ("text", "prompt") if not is_blank(row.get(name))), None)
    if question is None:
        raise ValueError("no column 'text' or 'prompt' with the task")
    imports = row.get("test_imports") or []
    setup = row.get("test_setup_code") or "\n".join(imports)
    complete = row.get("test")  # MBPP+: all of its tests in one source, of which `test_list` is a small part
    reference: dict[str, Any] = {"tests": tests if is_blank(complete) else [complete]}
    reference |= {"test_setup_code": setup} if setup else {}
    prompt = f"{question.strip()}\nThe code must pass this test:\n{tests[0].strip()}"
    fields = {"id": _numbered("mbpp", row.get("task_id")), "prompt": prompt, "prompt_form": "text", "kind": "code"}
    meta = {name: row[name] for name in ("challenge_test_list",) if row.get(name)}
    return fields | {"source": "mbpp", "reference": _with_solution(reference, row), "meta": meta}


def _live_code_bench(row: dict[str, Any]) -> dict[str, Any]:
    names = ("public_test_cases", "private_test_cases", "metadata", "starter_code")
    reference = {name: row[name] for name in names if not is_blank(row.get(name))}
    if is_blank(row.get("starter_code")):
        request = _READS_STDIN
    else:
        request = f"Complete this code:\n```python\n{row['starter_code'].rstrip()}\n```"
    prompt = f"{row['question_content'].strip()}\n\n{request}"
    fields = {"id": row.get("question_id"), "prompt": prompt, "prompt_form": "text", "kind": "code"}
    return fields | {
        "source": "livecodebench",
        "reference": _with_solution(reference, row),
        "meta": _others(row, reference, "question_content", "question_id", *_SOLUTIONS),
    }


def _code_contests(row: dict[str, Any]) -> dict[str, Any]:
    """Without its solutions: many of them fail in Python 3, or use more time than the tests allow."""
    names = ("public_tests", "private_tests", "generated_tests", "time_limit", "memory_limit_bytes")
    reference = {name: row[name] for name in names if not is_blank(row.get(name))}
    prompt = f"{row['description'].strip()}\n\n{_READS_STDIN}"
    shown = ("difficulty", "cf_rating", "cf_tags", "cf_contest_id", "cf_index", "source")
    fields = {"id": row.get("name"), "prompt": prompt, "prompt_form": "text", "kind": "code"}
    meta = {name: row[name] for name in shown if not is_blank(row.get(name))}
    return fields | {"source": "code_contests", "reference": reference, "meta": meta}


_EVAL_PLUS = ("base_input", "plus_input", "expected_output", "atol")
_READ = tuple(name for name in ROW_FIELDS if name not in (*SOLUTION_FIELDS, "prompt"))
_OWN = ("id", "prompt", "problem", "question", "prompt_form", "kind", "source", "meta", "answer")
_Reader = Callable[[dict[str, Any]], dict[str, Any]]
_SHAPES: list[tuple[frozenset[str], _Reader]] = [
    (frozenset({"task_id", "prompt", "canonical_solution", "entry_point"}), _human_eval),
    (frozenset({"task_id", "code", "test_list"}), _mbpp),
    (frozenset({"question_content", "public_test_cases", "private_test_cases"}), _live_code_bench),
    (frozenset({"description", "public_tests", "private_tests", "generated_tests"}), _code_contests),
]


def _with_solution(reference: dict[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    solution = next((row[name] for name in _SOLUTIONS if isinstance(row.get(name), str) and row[name].strip()), None)
    return with_plain_numbers(reference if solution is None else {**reference, "solution": solution})


def _others(row: Mapping[str, Any], reference: Mapping[str, Any], *used: str) -> dict[str, Any]:
    """Columns that nothing else reads, and what `meta` already says."""
    other_columns = {name: value for name, value in row.items() if name not in {*reference, *used}}
    meta = parsed(row.get("meta"))
    return other_columns | (meta if isinstance(meta, dict) else {})


def _is_mathematical(solution: Any) -> bool:
    return isinstance(solution, str) and bool(boxed_answer(solution) or marked_answer(solution))


def _numbered(source: str, number: Any) -> str | None:
    return None if is_blank(number) else f"{source}/{str(number).rpartition('/')[2]}"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _form(row: Mapping[str, Any], question: Any) -> str | None:
    if row.get("prompt_form") in ("text", "chat"):
        return str(row["prompt_form"])
    return "text" if isinstance(question, str) and not question.lstrip().startswith("[") else None
