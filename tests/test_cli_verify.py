"""`reasonrl verify math` and `reasonrl audit`, as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reasonrl.cli", *arguments], cwd=folder, capture_output=True, text=True, timeout=120
    )


def test_one_row_out_for_each_row_in(tmp_path: Path) -> None:
    lines = [
        json.dumps({"id": "a", "gold": r"\frac12", "response": r"So it is \boxed{0.5}."}),
        json.dumps({"id": "b", "gold": "3", "answer": "4"}),
        "this is no JSON",
        json.dumps({"id": "d", "gold": "3"}),
        json.dumps({"id": "e", "answer": "3"}),
        json.dumps({"id": "f", "gold": "", "answer": "3"}),
        "[1, 2]",
        "",
        json.dumps({"id": ["odd", 1], "gold": 3, "answer": 3}),
        json.dumps({"gold": "7", "response": "no number here at all"}),
        json.dumps({"id": "k", "gold": "n(n+1)/2", "answer": r"\sum_{k=1}^{n} k"}),
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n")
    done = run(tmp_path, "verify", "math", "--input", "in.jsonl", "--output", "out.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["a", "b", 3, "d", "e", "f", 7, 8, ["odd", 1], 10, "k"]
    assert [row["correct"] for row in rows] == [True, False, None, None, None, None, None, None, True, False, True]
    assert [row["status"] for row in rows] == ["judged"] * 2 + ["error"] * 6 + ["judged", "unparsed", "judged"]
    assert all(set(row) == {"id", "correct", "status", "extracted", "method", "reason", "seconds"} for row in rows)
    assert "not valid JSON" in rows[2]["reason"] and '"response"' in rows[3]["reason"] and '"gold"' in rows[4]["reason"]
    assert json.loads(done.stdout)["error"] == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_strict_mode_credits_a_marked_answer_only(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps({"id": 1, "gold": "5", "response": "2 + 3 makes 5"}))
    found: dict[str, Any] = {}
    for mode in ("lenient", "strict"):
        done = run(tmp_path, "verify", "math", "--input", "in.jsonl", "--output", f"{mode}.jsonl", "--mode", mode)
        assert done.returncode == 0, done.stderr
        found[mode] = json.loads((tmp_path / f"{mode}.jsonl").read_text())["correct"]
    assert found == {"lenient": True, "strict": False}


def test_one_answer_explained(tmp_path: Path) -> None:
    done = run(tmp_path, "verify", "math", "--gold", r"\frac12", "--answer", "0.5", "--explain")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("correct: 0.5 (the answer) equals the reference")
    assert "same text   passes it on" in done.stdout and "number      equal  (rational)" in done.stdout
    answer = json.loads(run(tmp_path, "verify", "math", "--gold", "1", "--response", "It is 2.", "--json").stdout)
    assert (answer["correct"], answer["extracted"]) == (False, "2")


def test_a_policy_from_the_command_line(tmp_path: Path) -> None:
    common = ("verify", "math", "--gold", "0.5", "--answer", "50%", "--json")
    assert json.loads(run(tmp_path, *common).stdout)["correct"] is True
    assert json.loads(run(tmp_path, *common, "--policy", "percent=number").stdout)["correct"] is False


def test_bad_usage_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("{}")
    for arguments, said in [
        (("--gold", "1"), "--answer"),
        (("--input", "in.jsonl"), "--output"),
        (("--input", "nothing.jsonl", "--output", "o.jsonl"), "the file does not exist"),
        (("--input", "in.jsonl", "--output", "in.jsonl"), "would be overwritten"),
        (("--input", "in.jsonl", "--output", "no/o.jsonl"), "does not exist"),
        (("--gold", "1", "--answer", "1", "--mode", "loose"), "strict, lenient, whole"),
        (("--gold", "1", "--answer", "1", "--policy", "percents=either"), "did you mean 'percent'"),
    ]:
        done = run(tmp_path, "verify", "math", *arguments)
        assert done.returncode == 2, (arguments, done.stdout, done.stderr)
        assert said in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_audit(tmp_path: Path) -> None:
    rows = [
        {"gold": "1/2", "pred": "0.5", "equivalent": True, "form": "answer"},
        {"gold": "7", "pred": r"It is \boxed{8}.", "equivalent": False, "form": "response"},
        {"gold": "7", "pred": "8", "equivalent": True},
    ]
    (tmp_path / "cases.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = run(tmp_path, "audit", "cases.jsonl", "--against", "math_verify", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    ours, theirs = made["scores"]
    assert (
        ours["accuracy"]["estimate"] == 2 / 3
        and ours["equal_found"]["estimate"] == 0.5
        and ours["wrong_accepted"]["estimate"] == 0
    )
    assert theirs["verifier"] == "math_verify" and theirs["cases"] == 3
    assert [row["where"] for row in made["mistakes"]] == ["line 3"]
    shown = run(tmp_path, "audit", "cases.jsonl").stdout
    assert "66.7%" in shown and "mistakes (1):" in shown


def test_audit_names_every_bad_row(tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text('{"gold": "1"}\n{"gold": "1", "pred": "1", "equivalent": "yes"}\n')
    done = run(tmp_path, "audit", "cases.jsonl")
    assert done.returncode == 2
    assert "line 1" in done.stderr and "line 2" in done.stderr and "true or false" in done.stderr
