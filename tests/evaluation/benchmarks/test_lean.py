"""Benchmarks of theorems: what is asked, and what is judged."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from reasonrl.errors import DataError
from reasonrl.evaluation.benchmarks import find_benchmark
from reasonrl.evaluation.benchmarks.loading import load_benchmark
from tests.evaluation.benchmarks.test_loading import THEOREM, write
from tests.verifiers.lean.conftest import need_kernel
from verifiers.lean.statement import read_statement
from verifiers.lean.verifier import statement_of
from verifiers.loading import load_verifier
from verifiers.types import Problem

STATEMENT = "theorem swap (p q : Prop) (h : And p q) : And q p"


def problem_of(folder: Path, **fields: Any) -> Problem:
    row = {key: value for key, value in (THEOREM | fields).items() if value is not None}
    (problem,) = load_benchmark(find_benchmark("minif2f"), path=write(folder, row)).problems
    return problem


@pytest.mark.parametrize("ending", ["", " :=", " := by", " := by\n", " := sorry", " := by sorry", " := by sorry\n\n"])
def test_the_question_ends_where_the_proof_begins(ending: str, tmp_path: Path) -> None:
    problem = problem_of(tmp_path, formal_statement=STATEMENT + ending)
    assert problem.prompt == f"{THEOREM['header']}{THEOREM['informal_prefix']}{STATEMENT} := by\n"
    assert statement_of(problem.reference) == read_statement(STATEMENT + ending, THEOREM["header"])


def test_the_two_published_shapes_state_the_same_theorem(tmp_path: Path) -> None:
    apart = problem_of(tmp_path, informal_prefix=None)
    whole = problem_of(
        tmp_path,
        formal_statement=None,
        header=None,
        informal_prefix=None,
        code=f"import Mathlib\n\nopen Nat\n\n{STATEMENT} := by sorry",
    )
    assert whole.prompt == apart.prompt
    assert statement_of(whole.reference) == statement_of(apart.reference)
    assert whole.id == "swap"


def test_a_split_is_no_other(tmp_path: Path) -> None:
    path = write(tmp_path, THEOREM, THEOREM | {"name": "other", "split": "valid"})
    names = {
        name: [problem.id for problem in load_benchmark(find_benchmark(name), path=path).problems]
        for name in ("minif2f", "minif2f_valid")
    }
    assert names == {"minif2f": ["swap"], "minif2f_valid": ["other"]}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"formal_statement": None}, "no column 'formal_statement'"),
        ({"formal_statement": "  "}, "formal_statement is empty"),
        ({"formal_statement": 3}, "formal_statement must be a text"),
        ({"header": ["import Mathlib"]}, "header must be a text"),
    ],
)
def test_bad_rows_are_named(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        problem_of(tmp_path, **fields)


@pytest.mark.sandbox
def test_what_both_kinds_of_models_answer_is_judged_by_the_kernel(tmp_path: Path) -> None:
    need_kernel()
    problem = problem_of(tmp_path, header="", formal_statement=f"{STATEMENT} :=")
    proof = "And.intro h.right h.left"
    whole = f"{STATEMENT} :=\n  {proof}"
    with closing(load_verifier("lean", mode="lenient", backend="bundled")) as verifier:  # type: ignore[type-var]
        verdicts = verifier.verify(
            [f"```lean4\n{whole}\n```", f"  {proof}\n```", f"```lean4\n{whole.replace('right', 'left')}\n```"],
            [problem.reference] * 3,
        )
    assert [verdict.correct for verdict in verdicts] == [True, True, False], verdicts
