"""`benchmarks/ablation.py`: what it reads out of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.ablation import METHODS, ROOT, TASKS, Results, interval, judge_proofs_again, read
from benchmarks.proof_forms import normal_form
from reasonrl.recipe.reading import load_recipe
from tests.verifiers.lean.conftest import need_kernel

ROWS = [  # (problem, response, correct, mode)
    ("a", "def f(x, y): return x + y", True, "sampled"),
    ("a", "def f(x, y): return y + x", True, "sampled"),
    ("a", "def f(x, y): return x - -y", True, "sampled"),
    ("a", "def f(x, y): return max(x, y) + min(x, y)", True, "sampled"),
    ("b", "def f(x): return x", False, "sampled"),
    ("b", "def f(x): return", False, "sampled"),
    ("b", "def f(x): return 2 * x", True, "sampled"),
    ("b", "def f(x): return x +", False, "sampled"),
    ("b", "def f(x): return x * 3 - x", True, "greedy"),
]


def test_different_right_programs_are_counted_per_problem(tmp_path: Path) -> None:
    metrics = [
        {"kind": "eval", "step": 0, "eval/programs/greedy": 0.1, "eval/programs/sampled": 0.2},
        {"kind": "train", "step": 1, "rollouts/total": 64, "rollouts/effective_share": 0.5},
        {"kind": "eval", "step": 1, "eval/programs/greedy": 0.5, "eval/programs/sampled": 0.625},
    ]
    samples = [
        {"kind": "eval", "step": 1, "mode": mode, "problem_id": problem, "response": response, "reference": {}}
        | {"verdicts": {"correctness": {"correct": correct}}}
        for problem, response, correct, mode in ROWS
    ]
    samples.insert(0, samples[3] | {"step": 0, "response": "def f(x, y): return 2 * x"})
    for name, rows in (("metrics", metrics), ("samples", samples)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    figures = read(TASKS["programs"], tmp_path)
    assert figures["programs"] == pytest.approx((2 + 1) / 2)
    assert figures["pass@1"] == pytest.approx((1 + 0.25) / 2)
    assert figures["pass@4"] == 1
    assert figures["greedy"] == 0.5
    assert figures["curve"] == [(0, 0.2), (64, 0.625)]


def test_all_methods_of_a_task_are_switched_on_together() -> None:
    assert TASKS["programs"].overrides("all") == [
        *METHODS["unlikeliness"],
        *METHODS["tempo"],
        *METHODS["knapsack"],
    ]
    assert TASKS["sums"].overrides("plain") == []


def test_an_interval_is_in_points_or_in_counts() -> None:
    assert interval([0.01, 0.03]) == "+2.0 [-10.7, +14.7]"
    assert interval([1.0, 3.0], 1) == "+2.0 [-10.7, +14.7]"


def test_a_run_of_the_same_settings_is_found_again_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    Results(TASKS["programs"], file, []).add("plain", 3, {"greedy": 0.5})
    Results(TASKS["programs"], file, []).add("tempo", 3, {"greedy": 0.6})
    again = Results(TASKS["programs"], file, [])
    assert again.of("plain", 3) == {"greedy": 0.5, "settings": json.loads(file.read_text())["plain-3"]["settings"]}
    assert again.of("tempo", 3) is not None
    assert again.of("plain", 4) is None
    assert Results(TASKS["programs"], file, ["train.steps=5"]).of("plain", 3) is None
    assert Results(TASKS["sums"], file, []).of("plain", 3) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fun h1 => And.intro h1.right h1.left", "fun x => And.intro (x.right)  (x.left)"),
        ("fun h1 => fun h2 => h1", "fun a b => (a)"),
        ("fun a => fun a => a", "fun a => fun b => b"),
        ("fun h => Or.elim h (fun a => h1) (fun b => b)", "fun x => Or.elim x (fun y => h1) fun z => z"),
    ],
)
def test_one_term_has_one_form(one: str, other: str) -> None:
    assert normal_form(one) == normal_form(other) != one


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fun a => fun b => a", "fun a => fun b => b"),
        ("fun h => h.left.right", "fun h => h.right.left"),
        ("fun f => fun x => f (f x)", "fun f => fun x => f f x"),
        ("fun h => Or.inl h", "fun h => Or.inr h"),
    ],
)
def test_different_terms_have_different_forms(one: str, other: str) -> None:
    assert normal_form(one) != normal_form(other)


@pytest.mark.parametrize("text", ["by  simp [h]", "fun h => (h", "fun h =>", "⟨h,  h⟩", "fun h => h)", ""])
def test_another_text_is_its_own_form(text: str) -> None:
    assert normal_form(text) == " ".join(text.split())


@pytest.mark.sandbox
def test_a_proof_that_does_not_hold_again_ends_the_command() -> None:
    need_kernel()
    reference = {"statement": "theorem t (p q : Prop) : And p q → q := sorry"}
    judge_proofs_again([("fun h => h.right\n", reference), ("fun h => And.right h\n", reference)])
    with pytest.raises(SystemExit, match="1 of 2 proofs that counted do not hold"):
        judge_proofs_again([("fun h => h.right\n", reference), ("fun h => h.left\n", reference)])


@pytest.mark.parametrize("task", ["programs", "proofs"])
def test_the_methods_are_compared_with_the_settings_of_the_recipe(task: str) -> None:
    name = {"programs": "programs", "proofs": "term_proofs"}[task]
    shipped = load_recipe(str(ROOT / "recipes" / name / "recipe.yaml")).stages
    compared = load_recipe(str(ROOT / "benchmarks" / TASKS[task].recipe)).stages[0]
    differ = {"name", "description", "model", "init_from", "device", "kind", "seed"}
    assert compared.model_dump(exclude=differ) == shipped[1].model_dump(exclude=differ)
    warm_up = load_recipe(str(ROOT / "benchmarks" / TASKS[task].recipe), list(TASKS[task].warm_up)).stages[0]
    for part in ("sft", "optim"):
        assert getattr(warm_up, part) == getattr(shipped[0], part)
    assert warm_up.data.train == shipped[0].data.train
    assert warm_up.model.path == shipped[0].model.path
