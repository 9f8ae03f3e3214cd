"""`reasonrl verify code`, `reasonrl audit --verifier code`, the reward functions for verl and TRL, and the check of a
data set, each with the real sandbox.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonrl import cli
from reasonrl.data import check_problems, load_problems
from verifiers.adapters import compute_score, trl_reward
from verifiers.code.fields import ROW_FIELDS
from verifiers.code.verifier import CodeVerifier
from verifiers.sandbox import SandboxUnavailable

DOUBLE = "def double(x):\n    return 2 * x\n"
SQUARE = "def double(x):\n    return x * x\n"
TESTS = ["assert double(2) == 4", "assert double(3) == 6"]
SUMS = {"inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7\n"]}
COLUMNS = ("passed", "total", "per_test", "isolation", "trust")


def fenced(source: str) -> str:
    return f"I think so.\n```python\n{source}```\n"


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["reasonrl", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def verified(
    monkeypatch: pytest.MonkeyPatch, folder: Path, rows: list[dict[str, Any]], *options: str
) -> list[dict[str, Any]]:
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(folder)
    assert command(monkeypatch, "verify", "code", "--input", "in.jsonl", "--output", "out.jsonl", *options) == 0
    return [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]


def test_each_form_of_tests_in_rows_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = 'def double(x):\n    """ Twice x. """\n'
    check = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 6\n"
    problem = {"prompt": head, "entry_point": "double", "tests": [check], "reference": "    return 2 * x\n"}
    rows: list[dict[str, Any]] = [
        {"id": "a", "tests": TESTS, "response": fenced(DOUBLE)},
        {"id": "b", "tests": TESTS, "response": fenced(SQUARE)},
        {"id": "c", "tests": TESTS, "code": DOUBLE, "test_setup_code": "import math"},
        {"id": "d", **problem, "response": fenced("    return x + x\n")},
        {"id": "e", **problem, "response": fenced(SQUARE), "format": "function"},
        {"id": "f", "tests": SUMS, "code": "print(sum(map(int, input().split())))"},
        {"id": "g", "tests": SUMS, "code": "print(3)", "format": "stdin_stdout"},
        {"id": "h", "tests": {"fn_name": "double", "inputs": ["2", "3"], "outputs": ["4", "6"]}, "code": DOUBLE},
        {
            "id": "i",
            "reference": {"tests": json.dumps(SUMS)},
            "answer": "a, b = input().split()\nprint(int(a) + int(b))",
        },
    ]
    out = verified(monkeypatch, tmp_path, rows)
    assert "".join("+" if row["correct"] else "-" for row in out) == "+-++-+-++"
    assert all(list(row)[-5:] == list(COLUMNS) and row["isolation"] and row["trust"] == "values" for row in out)
    assert [row["total"] for row in out] == [2] * 9
    assert (out[1]["passed"], out[1]["per_test"]) == (1, ["passed", "wrong_answer"])
    assert out[1]["reason"] == "assert double(3) == 6: wrong answer: expected 6, got 9"


def test_rows_that_cannot_be_judged_are_errors_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[tuple[dict[str, Any], str]] = [
        ({"code": DOUBLE}, 'needs "tests"'),
        ({"code": DOUBLE, "tests": []}, "a problem needs a test"),
        ({"code": DOUBLE, "tests": {"inputs": [], "outputs": []}}, "a problem needs a test"),
        ({"code": DOUBLE, "tests": {"inputs": ["1"], "outputs": []}}, "each input needs one output"),
        ({"code": DOUBLE, "tests": TESTS, "format": "pascal"}, "`format` is 'pascal'"),
        ({"code": DOUBLE, "tests": TESTS, "language": "rust"}, "only Python programs can be judged"),
        ({"code": DOUBLE, "tests": TESTS, "entry_point": "halve", "reference": DOUBLE}, "`entry_point` is 'halve'"),
        ({"code": DOUBLE, "tests": TESTS, "reference": SQUARE}, "judged wrong: assert double(3) == 6"),
        ({"code": DOUBLE, "tests": ["assert double(2 == 4"]}, "tests[0] is not Python source"),
    ]
    out = verified(monkeypatch, tmp_path, [row for row, _ in rows])
    for row, (_, message) in zip(out, rows, strict=True):
        assert (row["correct"], row["status"]) == (None, "error") and message in row["reason"], row
        assert all(row[name] is None for name in COLUMNS)


def test_a_checker_that_breaks_is_an_error_of_its_row_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_checker.py").write_text("def divides(case_input, expected, got):\n    return 1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    streams = {"tests": SUMS, "code": "print(sum(map(int, input().split())))"}
    rows = [{**streams, "checker": "broken_checker:divides"}, streams] * 3
    out = verified(
        monkeypatch,
        tmp_path,
        [{**row, "id": i} for i, row in enumerate(rows)],
        "-o",
        "checkers=[broken_checker:divides]",
        "--workers",
        "2",
    )
    assert [(row["status"], row["correct"]) for row in out] == [("error", None), ("judged", True)] * 3
    assert "ZeroDivisionError" in out[0]["reason"] and out[0]["per_test"][0] == "checker_failure"


def test_a_response_without_a_program_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"tests": TESTS, "response": "I do not know."}, {"tests": TESTS, "response": DOUBLE}]
    lenient = verified(monkeypatch, tmp_path, rows)
    assert [(row["status"], row["correct"]) for row in lenient] == [("unparsed", False), ("judged", True)]
    strict = verified(monkeypatch, tmp_path, rows, "--mode", "strict")
    assert [(row["status"], row["correct"]) for row in strict] == [("unparsed", False)] * 2


def test_one_program_explained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    one = ("verify", "code", "--reference", json.dumps({"tests": TESTS}), "--answer", SQUARE)
    assert command(monkeypatch, *one, "--explain", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["correct"], shown["details"]["passed"], shown["details"]["trust"]) == (False, 1, "values")
    assert [layer["says"] for layer in shown["layers"]] == ["passed", "wrong answer expected 6, got 9"]
    assert command(monkeypatch, "verify", "code", "--gold", json.dumps(TESTS), "--response", fenced(DOUBLE)) == 0
    assert capsys.readouterr().out.startswith("correct: all 2 tests passed")


def test_audit_measures_the_verifier_on_labelled_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"tests": TESTS, "pred": DOUBLE, "equivalent": True},
        {"tests": TESTS, "pred": fenced(SQUARE), "equivalent": False, "form": "response"},
        {"tests": TESTS, "pred": SQUARE, "equivalent": True, "form": "code"},
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert command(monkeypatch, "audit", str(tmp_path / "pairs.jsonl"), "--verifier", "code", "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert value["scores"][0]["accuracy"]["estimate"] == 2 / 3
    assert [row["where"] for row in value["mistakes"]] == ["line 3"]
    assert value["mistakes"][0]["details"]["per_test"] == ["passed", "wrong_answer"]


@pytest.mark.parametrize("ground_truth", [TESTS, json.dumps(TESTS), {"tests": TESTS}, json.dumps({"tests": TESTS})])
def test_verls_reward_function_reads_tests(ground_truth: Any) -> None:
    right = compute_score("s", fenced(DOUBLE), ground_truth, {"index": 0}, verifier="code")
    wrong = compute_score("s", fenced(SQUARE), ground_truth, verifier="code")
    share = compute_score("s", fenced(SQUARE), ground_truth, verifier="code", reward="pass_rate")
    assert [row["score"] for row in (right, wrong, share)] == [1.0, 0.0, 0.5]
    broken = compute_score("s", fenced(DOUBLE), "[]", verifier="code")
    assert (broken["score"], broken["undecided"], broken["status"]) == (0.0, 1.0, "error")


def test_trls_reward_function_reads_the_columns_of_a_program() -> None:
    reward = trl_reward("code")
    check = "def check(candidate):\n    assert candidate(2) == 4\n"
    completions = [
        fenced(DOUBLE),
        [{"role": "assistant", "content": fenced("def double(x): return 5")}],
        fenced(DOUBLE),
    ]
    tests, names = [[check], [check], []], ["double", "double", None]
    scores = reward(prompts=[""] * 3, completions=completions, tests=tests, entry_point=names, index=[1, 2, 3])
    assert scores == [1.0, 0.0, None]
    with pytest.raises(ValueError, match="no column 'tests'; it has answer"):
        reward(prompts=[""], completions=["x"], answer=["1"])


def test_a_data_set_is_checked_with_its_solutions_and_an_empty_response(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "right", "prompt": "Double.", "tests": TESTS, "solution": DOUBLE},
        {"id": "none", "prompt": "Add.", "tests": SUMS},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    verifier = CodeVerifier()
    report = check_problems(load_problems(str(tmp_path / "rows.jsonl")), verifier)
    assert report.ok and (report.gold_accepted, report.empty_rejected, report.without_gold) == (1, 2, ["none"])
    rows[0]["solution"] = SQUARE
    rows[1]["tests"] = {"inputs": ["1"], "outputs": []}
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    bad = check_problems(load_problems(str(tmp_path / "rows.jsonl")), verifier)
    verifier.close()
    right, none = bad.offending
    assert right.id == "right" and right.reason.endswith(
        "scores 0: assert double(3) == 6: wrong answer: expected 6, got 9"
    )
    assert none.id == "none" and none.reason.startswith("the reference cannot be read: `tests` has 1 inputs")


def test_a_machine_without_isolation_is_one_sentence_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unavailable(*_: Any, **__: Any) -> None:
        raise SandboxUnavailable("no layer works here; run: make sandbox")

    monkeypatch.setattr("verifiers.code.verifier.open_sandbox", unavailable)
    assert command(monkeypatch, "verify", "code", "--gold", "assert f() == 1", "--answer", "x") == 1
    error = capsys.readouterr().err
    assert "the verifier 'code': no layer works here; run: make sandbox" in error and "Traceback" not in error


def test_every_field_of_a_row_is_one_name() -> None:
    assert len(set(ROW_FIELDS)) == len(ROW_FIELDS) and CodeVerifier.row_fields[0] == "tests"
    assert not {"id", "response", "answer", "code", "gold"} & set(ROW_FIELDS), "these are the commands' own"
