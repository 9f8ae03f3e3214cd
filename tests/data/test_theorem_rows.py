"""Rows of theorems in the shapes of others: what is asked, and what is judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonrl.data.load import load_problems
from reasonrl.data.theorem_rows import question
from reasonrl.errors import DataError
from verifiers.lean.verifier import statement_of
from verifiers.types import Problem

BARE = "theorem t (a b : ℝ) (h : a = b) : b = a"
SHAPES: dict[str, dict[str, Any]] = {
    "Lean-Workbook": {
        "id": "lean_workbook_7",
        "status": "proved",
        "tactic": "linarith",
        "natural_language_statement": "Show that b = a.",
        "answer": "",
        "formal_statement": f"{BARE}  :=  by sorry",
    },
    "NuminaMath-LEAN": {
        "uuid": "0f-7",
        "problem": "Let a = b. Show that b = a.",
        "answer": "proof",
        "formal_statement": f"import Mathlib\n\n/- words -/\n{BARE} := by\n  sorry",
    },
    "DeepSeek-Prover-V1": {
        "name": "thm_7",
        "split": "train",
        "goal": "a b : ℝ\n⊢ b = a",
        "header": "import Mathlib\n\n",
        "formal_statement": f"{BARE} := by\n",
        "formal_proof": "exact h.symm",
    },
    "miniF2F": {
        "name": "mathd_7",
        "split": "test",
        "informal_prefix": "/-- Show that b = a. -/\n",
        "header": "import Mathlib\n\n",
        "formal_statement": f"{BARE} := by\n",
        "goal": "",
    },
    "PutnamBench": {"name": "putnam_7", "lean4_statement": f"import Mathlib\n{BARE} :=\nsorry"},
}


def problem_of(folder: Path, row: dict[str, Any], **options: Any) -> Problem:
    path = folder / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    (problem,) = load_problems(str(path), **options)
    return problem


@pytest.mark.parametrize("shape", SHAPES)
def test_published_rows_are_theorems(shape: str, tmp_path: Path) -> None:
    row = SHAPES[shape]
    problem = problem_of(tmp_path, row)
    assert problem.kind == "lean"
    assert problem.id == str(row.get("id") or row.get("uuid") or row.get("name"))
    assert isinstance(problem.prompt, str) and problem.prompt.endswith(f"{BARE} := by\n")
    statement = statement_of(problem.reference)
    assert statement.written_name == "t" and "sorry" not in statement.signature
    assert statement.imports == (() if shape == "Lean-Workbook" else ("Mathlib",))
    assert problem.reference.get("proof") == row.get("formal_proof")
    columns = ("status", "goal", "natural_language_statement")
    assert all(problem.meta[name] == row[name] for name in columns if name in row)


@pytest.mark.parametrize(
    "end", ["", " :=", ":=", " := by", " :=\n  by\n", " := sorry", " := by sorry", " := by\n  sorry\n"]
)
def test_the_question_ends_where_the_proof_begins(end: str) -> None:
    assert question(BARE + end, "import Mathlib\n", "/-- words -/\n") == f"import Mathlib\n/-- words -/\n{BARE} := by\n"


def test_a_prompt_of_the_row_is_the_question(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, {"prompt": "Prove it.", **SHAPES["miniF2F"]})
    assert problem.prompt == "Prove it." and problem.reference["statement"] == SHAPES["miniF2F"]["formal_statement"]


def test_a_row_of_another_kind_stays_one(tmp_path: Path) -> None:
    row = {"prompt": "How many?", "answer": "4", "statement": "x", "code": "y"}
    assert problem_of(tmp_path, row).kind == "math"
    judged = {"prompt": "Is it right?", "formal_statement": BARE, "reference": {"answer": "yes"}}
    assert problem_of(tmp_path, judged).reference == {"answer": "yes"}


def test_a_source_of_kind_lean_may_call_it_a_statement(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, {"statement": f"{BARE} := sorry", "header": "import Mathlib"}, kind="lean")
    assert problem.reference == {"statement": f"{BARE} := sorry", "header": "import Mathlib"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"formal_statement": " "}, "formal_statement is empty"),
        ({"formal_statement": BARE, "header": 3}, "header must be a text, not 3"),
    ],
)
def test_a_bad_row_is_named(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"row 1.*{message}|line 1.*{message}"):
        problem_of(tmp_path, row)
