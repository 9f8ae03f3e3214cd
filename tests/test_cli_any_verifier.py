"""`reasonrl verify` and `reasonrl audit` with verifiers that are not math."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.test_cli_verify import run

GYM = {"dataset": "chain_sum", "entry": {"question": "4 + 3 =", "answer": "7", "metadata": {}}}
MINE = """
from verifiers import Status, Verdict

class Bare:
    def verify(self, responses, references):
        return [judged(r.strip() == str(ref["target"]), r) for r, ref in zip(responses, references)]
    def gold_response(self, reference):
        return str(reference["target"])

class Full(Bare):
    def __init__(self, suffix="."):
        self.suffix = suffix
    def verify(self, responses, references):
        return super().verify([r.removesuffix(self.suffix) for r in responses], references)
    def reference_of(self, gold):
        if not isinstance(gold, str):
            raise ValueError(f"gold is {gold!r}; write a text")
        return {"target": gold}
    def wrap_answer(self, answer):
        if self.suffix in answer:
            raise ValueError("an answer holds no full stop")
        return answer + self.suffix
    def explain(self, answer, reference, verdict):
        from verifiers import Layer
        return [Layer("letters", "the same" if verdict.correct else "others", "text")]

class Short(Bare):
    def verify(self, responses, references):
        return []

def judged(correct, text):
    return Verdict(correct, float(correct), Status.JUDGED, text, "text", "compared", 0.0)
"""


def folder_with(tmp_path: Path, rows: list[dict[str, Any]]) -> Path:
    (tmp_path / "my_verifier.py").write_text(MINE)
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def verdicts(folder: Path, name: str, *options: str) -> list[dict[str, Any]]:
    done = run(folder, "verify", name, "--input", "in.jsonl", "--output", "out.jsonl", *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]


def fails(folder: Path, *arguments: str) -> str:
    """The one message of a command that is used wrongly."""
    done = run(folder, *arguments)
    assert done.returncode == 2, (arguments, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr


def test_a_format_needs_no_gold(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"response": r"\boxed{3}"},
        {"response": "3", "gold": "3"},
        {"answer": "3"},
        {"answer": ""},
        {"gold": "3"},
    ]
    out = verdicts(folder_with(tmp_path, rows), "format", "--option", "pattern=boxed")
    assert [row["correct"] for row in out] == [True, False, True, False, None]
    assert '"response"' in out[4]["reason"]
    regex = verdicts(tmp_path, "format", "-o", 'pattern="[0-9]+"')
    assert [row["correct"] for row in regex] == [False, True, None, None, None]
    assert "cannot write an example response" in regex[2]["reason"]


def test_reasoning_gym_reads_whole_references(tmp_path: Path) -> None:
    other = {"dataset": "no_such_set", "entry": GYM["entry"]}
    rows = [
        {"id": 1, "response": r"\boxed{7}", "reference": GYM},
        {"id": 2, "answer": 7, "reference": GYM},
        {"id": 3, "answer": "8", "reference": GYM},
        {"id": 4, "response": "It is 7", "reference": GYM},
        {"id": 5, "answer": "7", "reference": other},
        {"id": 6, "answer": "7", "reference": "7"},
    ]
    out = verdicts(folder_with(tmp_path, rows), "reasoning_gym")
    assert [row["correct"] for row in out] == [True, True, False, False, None, None]
    assert [row["status"] for row in out] == ["judged"] * 3 + ["unparsed", "error", "error"]
    assert out[5]["reason"].startswith('"reference" is a str; write an object')
    lenient = verdicts(tmp_path, "reasoning_gym", "-o", "answer_mode=lenient")
    assert lenient[3]["correct"] is True
    (tmp_path / "in.jsonl").write_text(json.dumps({"answer": "7", "gold": "7"}))
    message = fails(tmp_path, "verify", "reasoning_gym", "--input", "in.jsonl", "--output", "new.jsonl")
    assert "in.jsonl, line 1" in message and "reference_of" in message and '"reference": {...}' in message
    assert not (tmp_path / "new.jsonl").exists()


def test_a_verifier_of_the_user(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"response": "seven.", "gold": "seven"},
        {"answer": "seven", "reference": {"target": "seven"}},
        {"answer": "eight", "gold": "seven"},
        {"answer": "se.ven", "gold": "seven"},
        {"answer": "seven", "gold": 7},
    ]
    out = verdicts(folder_with(tmp_path, rows), "my_verifier:Full")
    assert [row["correct"] for row in out] == [True, True, False, None, None]
    assert out[3]["reason"] == "an answer holds no full stop" and out[4]["reason"] == "gold is 7; write a text"
    explained = run(tmp_path, "verify", "my_verifier:Full", "--gold", "seven", "--answer", "seven", "--explain")
    assert "letters     the same  (text)" in explained.stdout, explained.stderr


def test_a_verifier_without_the_optional_methods_says_what_to_write(tmp_path: Path) -> None:
    good = {"response": "seven", "reference": {"target": "seven"}}
    folder = folder_with(tmp_path, [good])
    assert verdicts(folder, "my_verifier:Bare")[0]["correct"] is True
    one = ("verify", "my_verifier:Bare", "--reference", '{"target": "7"}')
    assert json.loads(run(folder, *one, "--response", "7", "--json").stdout)["correct"] is True
    assert "no method wrap_answer" in fails(folder, *one, "--answer", "7")
    assert "no method reference_of" in fails(folder, "verify", "my_verifier:Bare", "--gold", "7", "--response", "7")
    assert "leave out --explain" in fails(folder, *one, "--response", "7", "--explain")
    folder_with(tmp_path, [good, {"answer": "seven", "reference": {"target": "seven"}}])
    message = fails(folder, "verify", "my_verifier:Bare", "--input", "in.jsonl", "--output", "new.jsonl")
    assert "in.jsonl, line 2" in message and '"response"' in message
    message = fails(folder, "verify", "my_verifier:Short", *one[2:], "--response", "7")
    assert "returned 0 verdicts for 1 responses" in message


@pytest.mark.slow
def test_a_verifier_that_cannot_be_loaded_is_one_clear_message(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, [])
    (folder / "broken.py").write_text("import a_package_that_is_not_there\n")
    one = ("--gold", "7", "--response", "7")
    for arguments, expected in [
        (("formt", *one), "did you mean 'format'"),
        (("format", *one), "it needs the option 'pattern'"),
        (("format", *one, "-o", "pattern=boxed", "--mode", "strict"), "it has no option 'mode'"),
        (("format", *one, "-o", "pattern"), "write key=value"),
        (("format", *one, "-o", "pattern=[0-9]+"), "put strings in quotes: 'pattern=\"...\"'"),
        (("format", *one, "-o", "pattern=[0-9]"), "write a string (in YAML, within quotes)"),
        (("my_verifier:Nobody", *one), "has no 'Nobody'"),
        (("broken:Mine", *one), "a_package_that_is_not_there"),
        (("math", "--reference", "[1]", "--answer", "1"), "write a JSON object"),
        (("math", "--reference", "{", "--answer", "1"), "--reference is not valid JSON"),
    ]:
        assert expected in fails(folder, "verify", *arguments)


def test_audit_of_any_verifier_against_any_other(tmp_path: Path) -> None:
    rows = [
        {"reference": GYM, "pred": "7", "equivalent": True},
        {"reference": GYM, "pred": "8", "equivalent": False},
        {"reference": GYM, "pred": "seven", "equivalent": True},
        {"reference": GYM, "pred": r"It is \boxed{7}.", "equivalent": True, "form": "response"},
    ]
    folder = folder_with(tmp_path, rows)
    audit = ("audit", "in.jsonl", "--verifier", "reasoning_gym", "--against", "format")
    done = run(folder, *audit, "--against-option", "pattern=boxed", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    gym, form = report["scores"]
    assert (gym["verifier"], gym["accuracy"]["estimate"]) == ("reasoning_gym", 0.75)
    assert (form["verifier"], form["accuracy"]["estimate"]) == ("format (boxed)", 0.75)
    assert [row["where"] for row in report["mistakes"]] == ["line 3"]
    assert [row["where"] for row in report["disagreements"]] == ["line 2", "line 3"]
    assert "--against" in fails(folder, "audit", "in.jsonl", "--against-option", "pattern=boxed")
    assert "no method wrap_answer" in fails(folder, "audit", "in.jsonl", "--verifier", "my_verifier:Bare")
    (folder / "gold.jsonl").write_text(json.dumps({"gold": "a", "pred": "a", "equivalent": True}))
    shown = run(folder, "audit", "gold.jsonl", "--verifier", "my_verifier:Full", "-o", 'suffix="!"').stdout
    assert "my_verifier:Full (!)" in shown and "100.0%" in shown
