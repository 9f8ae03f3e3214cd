"""`reasonrl verify` and `audit` with a verifier whose references and answers have fields of their own in a row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonrl import cli

VERIFIER = """
from verifiers import Status, Verdict
from verifiers.errors import NoGoldResponse

class Tested:
    row_fields = ("tests", "limit", "reference", "solution")
    answer_field = "code"
    detail_fields = ("passed", "total")

    def verify(self, responses, references):
        return [self.one(text, reference) for text, reference in zip(responses, references)]

    def one(self, text, reference):
        tests = reference.get("tests")
        if not tests:
            return Verdict(None, None, Status.ERROR, None, "tests", "tests is empty; write a list of texts", 0.0)
        passed = sum(type(test) is type(text) and test in text for test in tests)
        details = {"passed": passed, "total": len(tests), "seen": sorted(reference)}
        return Verdict(passed == len(tests), passed / len(tests), Status.JUDGED, text, "tests", "run", 0.0, details)

    def gold_response(self, reference):
        for name in ("reference", "solution"):
            if name in reference:
                return reference[name]
        raise NoGoldResponse("no solution")

    def verify_answers(self, answers, references):
        return self.verify([f"${answer}" for answer in answers], references)

class Misdeclared(Tested):
    row_fields = "tests"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tested_verifier.py").write_text(VERIFIER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["reasonrl", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


def verified(monkeypatch: pytest.MonkeyPatch, folder: Path, *lines: dict[str, Any] | str) -> list[dict[str, Any]]:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (folder / "in.jsonl").write_text(text)
    name = "tested_verifier:Tested"
    assert command(monkeypatch, "verify", name, "--input", "in.jsonl", "--output", "out.jsonl") == 0
    return [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]


def test_a_reference_may_stand_in_the_row_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = verified(
        monkeypatch,
        folder,
        {"id": 7, "response": "ab", "tests": ["a", "b"], "limit": 1, "topic": "x"},
        {"response": "ab", "tests": ["a", "c"]},
        {"code": "ab", "tests": ["$"]},
        {"answer": "ab", "reference": {"tests": ["a"]}},
        {"answer": "ab", "reference": '{"tests": ["a"]}'},
    )
    assert [row["id"] for row in out] == [7, 2, 3, 4, 5]
    assert [(row["correct"], row["passed"], row["total"]) for row in out] == [
        (True, 2, 2),
        (False, 1, 2),
        (True, 1, 1),
        (True, 1, 1),
        (True, 1, 1),
    ]
    assert out[0]["details"] == {"seen": ["limit", "tests"]}, "other columns are not the verifier's"


def test_rows_that_cannot_be_judged_say_why_and_have_every_column(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[tuple[dict[str, Any] | str, str]] = [
        ("no JSON", "not valid JSON"),
        ("[1]", '"tests": ..., "response" or "code": ...'),
        ({"response": "a"}, 'needs "tests", or "reference" (an object) (it has \'response\')'),
        ({"response": "a", "tests": []}, "tests is empty"),
        ({"response": "a", "tests": None}, 'needs "tests"'),
        ({"tests": ["a"]}, 'needs either "response" (a complete response) or "code"'),
        ({"tests": ["a"], "code": "a", "response": "a"}, 'needs either "response"'),
        ({"tests": ["a"], "code": ["a"]}, '"code" is a list; write a string'),
        ({"tests": ["a"], "code": 3}, '"code" is a number; write a string'),
        ({"tests": ["a"], "reference": [1], "code": "a"}, '"reference" is a list; write a text'),
        ({"reference": '{"tests": ["a"], "tests": ["b"]}', "code": "a"}, "the key 'tests' is there twice"),
        ({"tests": ["a"], "reference": {"tests": ["b"]}, "code": "a"}, 'has both "reference" and "tests"'),
        ({"tests": ["a"], "gold": "a", "code": "a"}, 'has both "gold" and "tests"'),
    ]
    out = verified(monkeypatch, folder, *(row for row, _ in rows))
    for row, (_, message) in zip(out, rows, strict=True):
        assert (row["correct"], row["status"], row["passed"], row["total"]) == (None, "error", None, None)
        assert message in row["reason"], row["reason"]


def test_a_row_whose_own_right_response_fails_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = verified(
        monkeypatch,
        folder,
        {"response": "a", "tests": ["a"], "reference": "a text with a"},
        {"response": "a", "tests": ["a"], "reference": "b"},
        {"code": "b", "tests": ["a"], "reference": "b"},
        {"code": "b", "reference": {"tests": ["a"], "solution": "b"}},
        {"code": "b", "tests": ["a"], "solution": "a"},
    )
    assert [row["correct"] for row in out] == [True, None, None, None, False]
    assert out[1]["reason"] == "the right response that the reference holds is judged wrong: run"


def test_numbers_of_a_reference_are_plain(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = '{"response": "a", "tests": ["a"], "limit": [3.14159265358979323846264338]}'
    assert verified(monkeypatch, folder, line)[0]["correct"] is True


def test_audit_reads_such_rows(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"tests": ["a"], "pred": "a", "equivalent": True, "form": "code"},
        {"tests": ["$"], "pred": "a", "equivalent": False, "form": "response"},
        {"reference": {"tests": ["a"]}, "pred": "b", "equivalent": False},
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert command(monkeypatch, "audit", "pairs.jsonl", "--verifier", "tested_verifier:Tested", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["scores"][0]["accuracy"]["estimate"], printed["mistakes"]) == (1.0, [])
    assert [row["details"]["passed"] for row in printed["slowest"]] == [1, 0, 0]
    (folder / "pairs.jsonl").write_text('{"pred": "a", "equivalent": true}\n{"tests": ["a"], "pred": "a"}\n')
    assert command(monkeypatch, "audit", "pairs.jsonl", "--verifier", "tested_verifier:Tested") == 2
    message = capsys.readouterr().err
    assert "no tests; a row needs tests (or reference), pred and equivalent" in message and "no equivalent" in message


def test_a_verifier_that_declares_no_names_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "in.jsonl").write_text("{}\n")
    name = "tested_verifier:Misdeclared"
    assert command(monkeypatch, "verify", name, "--input", "in.jsonl", "--output", "out.jsonl") == 2
    assert "Misdeclared.row_fields is 'tests'; write a tuple of names" in capsys.readouterr().err
    assert not (folder / "out.jsonl").exists()
