"""`reasonrl verify lean` and `audit`, as a user runs them; the rows of docs/lean.md."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.verifiers.lean.conftest import need_kernel

pytestmark = pytest.mark.sandbox
PAGE = (Path(__file__).parents[3] / "docs" / "lean.md").read_text(encoding="utf-8")
STATEMENT = "theorem goal (p q : Prop) (h : And p q) : q := sorry"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "reasonrl", *arguments], capture_output=True, text=True, timeout=240)


def test_rows_of_a_file_are_judged(tmp_path: Path) -> None:
    need_kernel()
    rows = [json.loads(line) for line in re.findall(r'^\{"id".*\}$', PAGE, re.MULTILINE)]
    assert len(rows) == 2
    given = {"formal_statement": STATEMENT, "header": ""}
    rows += [
        {"id": "response", **given, "name": "goal", "response": "So:\n```lean4\nh.right\n```"},
        {"id": "sorry", **given, "proof": "sorry"},
        {"id": "words", **given, "response": "I do not know."},
        {"id": "Mathlib", **given, "header": "import Mathlib", "proof": "h.right"},
    ]
    source, output = tmp_path / "rows.jsonl", tmp_path / "verdicts.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    finished = run("verify", "lean", "--input", str(source), "--output", str(output))
    assert finished.returncode == 0, finished.stderr
    verdicts = {row["id"]: row for row in map(json.loads, output.read_text().splitlines())}
    assert [row["correct"] for row in verdicts.values()] == [True, True, True, False, False, None]
    assert verdicts["response"]["axioms"] == [] and verdicts["sorry"]["axioms"] == ["sorryAx"]
    assert verdicts["response"]["layers"][:4] == ["lexical", "challenge", "type", "axioms"]
    assert verdicts["words"]["status"] == "unparsed" and verdicts["Mathlib"]["status"] == "error"
    assert {row["backend"] for row in verdicts.values()} == {"bundled"}


def test_one_answer_is_explained() -> None:
    need_kernel()
    reference = json.dumps({"statement": STATEMENT})
    finished = run("verify", "lean", "--reference", reference, "--answer", "h.left", "--explain", "--json")
    assert finished.returncode == 0, finished.stderr
    value = json.loads(finished.stdout)
    assert value["correct"] is False and value["method"] == "compile"
    assert [layer["layer"] for layer in value["layers"]][-1] == "compile"


def test_doctor_names_the_kernel() -> None:
    need_kernel()
    finished = run("doctor", "--json")
    assert "verifier: lean judges term proofs with the bundled kernel" in finished.stdout
