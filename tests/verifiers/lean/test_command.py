"""`reasonrl verify lean` as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.verifiers.lean.conftest import need_kernel

pytestmark = pytest.mark.sandbox
STATEMENT = "theorem swap (p q : Prop) (h : And p q) : And q p := sorry"


@pytest.fixture(autouse=True)
def _kernel() -> None:
    need_kernel()


def verify(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reasonrl.cli", "verify", "lean", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_rows_get_verdicts_with_layers_version_and_axioms(tmp_path: Path) -> None:
    rows = [
        {"id": "right", "formal_statement": STATEMENT, "header": "", "proof": "And.intro h.right h.left"},
        {"id": "assumed", "formal_statement": STATEMENT, "response": "```lean4\nsorry\n```"},
        {"id": "nothing", "formal_statement": STATEMENT, "response": "I cannot."},
        {"id": "no problem", "formal_statement": "theorem bad : Nothing := sorry", "proof": "rfl"},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = verify(tmp_path, "--input", "in.jsonl", "--output", "out.jsonl")
    verdicts = {row["id"]: row for row in map(json.loads, (tmp_path / "out.jsonl").read_text("utf-8").splitlines())}
    assert [verdicts[row["id"]]["correct"] for row in rows] == [True, False, False, None], done.stderr
    assert verdicts["right"]["version"].startswith("4.")
    assert verdicts["right"]["axioms"] == []
    assert {"lexical", "type", "axioms", "sandbox"} <= set(verdicts["right"]["layers"])
    assert verdicts["assumed"]["method"] == "axioms"
    assert "does not compile" in verdicts["no problem"]["reason"]


def test_one_proof_is_explained(tmp_path: Path) -> None:
    reference = json.dumps({"statement": STATEMENT})
    done = verify(tmp_path, "--reference", reference, "--answer", "And.intro h.left h.right", "--explain")
    assert "wrong" in done.stdout and "type mismatch" in done.stdout, done
