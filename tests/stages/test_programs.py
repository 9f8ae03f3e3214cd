"""The recipe `programs`: the real sandbox judges what a model of characters wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.program_forms import normal_form
from reasonrl.data.load import load_problems
from verifiers.loading import load_verifier

pytestmark = pytest.mark.sandbox


def test_every_form_of_a_function_is_right_and_its_negative_is_not() -> None:
    problems = load_problems("programs", options={"size": 6, "repeat": 3, "seed": 4})
    verifier = load_verifier("code", mode="whole")
    right = [problem.reference["demonstration"] for problem in problems]
    wrong = [text.replace("return ", "return -1 + ") for text in right]
    references = [problem.reference for problem in problems]
    verdicts = verifier.verify([*right, *wrong], [*references, *references])
    assert [verdict.correct for verdict in verdicts] == [True] * 18 + [False] * 18
    assert {verdict.details["total"] for verdict in verdicts} == {18}
    assert {verdict.details["trust"] for verdict in verdicts} == {"values"}
    assert len({normal_form(text) for text in right}) > 6


@pytest.mark.slow
def test_the_recipe_trains_and_its_verdicts_name_the_isolation(tmp_path: Path) -> None:
    small = [
        "stages.0.sft={steps: 2, rows_per_step: 8, response: '{demonstration}'}",
        "stages.0.data.train={source: programs, options: {size: 10, repeat: 2}}",
        "stages.0.data.heldout={programs: {source: programs, options: {size: 3, split: test}}}",
        "stages.1.data.train={source: programs, options: {size: 10}}",
        "stages.1.data.heldout={programs: {source: programs, options: {size: 3, split: test}}}",
        "stages.1.train={steps: 2, prompts_per_step: 2}",
        "stages.1.evaluation={samples_per_problem: 2}",
    ]
    command = [sys.executable, "-m", "reasonrl.cli", "train", "programs", f"run_dir={tmp_path / 'run'}", *small]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    samples = [json.loads(line) for line in (tmp_path / "run/stages/02-grpo/samples.jsonl").open(encoding="utf-8")]
    verdicts = [row["verdicts"]["correctness"] for row in samples]
    assert len(samples) >= 2 * 2 * 16
    assert all(verdict["status"] in ("judged", "unparsed") for verdict in verdicts)
    assert {verdict["details"]["isolation"] for verdict in verdicts} <= {"bubblewrap", "namespaces"}
