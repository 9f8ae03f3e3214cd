"""Published shapes of labelled solutions, and what is wrong with a row that contradicts itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from critics.verifier import solution_of
from reasonrl.data import load_problems
from reasonrl.errors import DataError


def load(folder: Path, *rows: dict[str, Any]) -> list[Any]:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return load_problems(str(path), kind="critique")


def test_process_bench(tmp_path: Path) -> None:
    row = {
        "id": "gsm8k-1",
        "generator": "g",
        "problem": "1 + 1?",
        "steps": ["1 + 1 = 3", "So 3"],
        "final_answer_correct": False,
        "label": 0,
        "suite": "gsm8k",
    }
    (problem,) = load(tmp_path, row)
    assert (problem.id, problem.kind, problem.prompt, problem.source) == ("gsm8k-1", "critique", "1 + 1?", "gsm8k")
    solution = solution_of(problem.reference)
    assert (solution.steps, solution.correct, solution.first_error, solution.text) == (
        ("1 + 1 = 3", "So 3"),
        False,
        0,
        "1 + 1 = 3\n\nSo 3",
    )


def test_big_bench_mistake(tmp_path: Path) -> None:
    row = {"input": "1 + 1 =", "steps": ["A = 1", "1 + 1 = 2"], "target": "2", "answer": "2", "mistake_index": None}
    wrong = {**row, "steps": ["A = 2", "So 4"], "answer": "4", "mistake_index": 0}
    right, spoilt = (solution_of(p.reference) for p in load(tmp_path, row, wrong))
    assert (right.correct, right.first_error) == (True, -1) and (spoilt.correct, spoilt.first_error) == (False, 0)


def prm_step(*ratings: int | None, chosen: int | None = 0) -> dict[str, Any]:
    return {
        "completions": [{"text": f"step rated {r}", "rating": r} for r in ratings],
        "human_completion": None,
        "chosen_completion": chosen,
    }


def test_prm800k(tmp_path: Path) -> None:
    question = {"problem": "2 + 2?", "ground_truth_answer": "4"}
    right = {
        "question": question,
        "label": {"steps": [prm_step(1), prm_step(-1, 0, chosen=1)], "finish_reason": "solution"},
    }
    wrong = {
        "question": question,
        "label": {"steps": [prm_step(1), prm_step(-1, chosen=None)], "finish_reason": "found_error"},
    }
    made = [solution_of(p.reference) for p in load(tmp_path, right, wrong)]
    assert [(s.steps, s.first_error, s.correct) for s in made] == [
        (("step rated 1", "step rated 0"), -1, True),
        (("step rated 1", "step rated -1"), 1, None),
    ]


GOOD = {"problem": "1 + 1?", "steps": ["a", "b"], "label": -1, "final_answer_correct": True}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 2}, "label must be the index of a step (0 to 1) or -1 for none, not 2"),
        ({"label": "1"}, "label must be the index of a step"),
        ({"final_answer_correct": False}, "final_answer_correct is false, but the label is -1"),
        ({"steps": []}, "steps must be a list of at least one string"),
        ({"steps": ["a", " "]}, "none of them empty"),
        ({"steps": "a b"}, "steps must be a list"),
    ],
)
def test_rows_that_contradict_themselves(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path, GOOD, {**GOOD, **change})
    assert message in str(caught.value) and "line 2" in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"solution": "x", "correct": False, "first_error": -1, "steps": ["x"]}, "the labels contradict each other"),
        ({"solution": "x"}, "needs a label"),
        ({"correct": True}, "needs 'solution'"),
        ({"steps": ["a"], "first_error": 1}, "it has 1 steps"),
        ({"steps": ["a"], "correct": "yes"}, "True, False or None"),
    ],
)
def test_references_of_our_own(tmp_path: Path, reference: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(tmp_path, {"prompt": "q", "kind": "critique", "reference": reference})


STEPS = [f"step {i}" for i in range(4)]


def process_bench_rows() -> list[dict[str, Any]]:
    """Every label of a solution of four steps; a final answer may be right though a step is wrong."""
    labels = [(-1, True), *((label, correct) for label in range(4) for correct in (False, True))]
    return [
        {"id": f"suite-{i}", "generator": "g", "problem": "p?", "steps": STEPS, "suite": "processbench_suite"}
        | {"label": label, "final_answer_correct": correct}
        for i, (label, correct) in enumerate(labels)
    ]


def test_every_label_of_process_bench(tmp_path: Path) -> None:
    rows = process_bench_rows()
    problems = load(tmp_path, *rows)
    assert {problem.kind for problem in problems} == {"critique"}
    solutions = [solution_of(problem.reference) for problem in problems]
    assert [(s.first_error, s.correct) for s in solutions] == [
        (row["label"], row["final_answer_correct"]) for row in rows
    ]


@pytest.mark.parametrize(
    ("target", "answer", "mistake", "correct", "first_error"),
    [
        ("12", "12", None, True, -1),
        ("12", "-3", 2, False, 2),
        ("(B)", "(A)", 0, False, 0),
        ("ant bee cow", "bee ant cow", 3, False, 3),
        ("12", "12", 1, True, 1),
    ],
)
def test_rows_of_big_bench_mistake(
    tmp_path: Path, target: str, answer: str, mistake: int | None, correct: bool, first_error: int
) -> None:
    row = {"input": "q", "steps": STEPS, "target": target, "answer": answer, "mistake_index": mistake}
    (problem,) = load(tmp_path, row)
    solution = solution_of(problem.reference)
    assert (solution.correct, solution.first_error) == (correct, first_error)
