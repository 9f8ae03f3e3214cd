"""Our verdicts: the benchmark's rows, golds and verifier, as `reasonrl eval` takes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reasonrl.evaluation.benchmarks import find_benchmark
from reasonrl.evaluation.benchmarks.loading import load_benchmark
from tests.peers.cases import Case
from verifiers.loading import load_verifier
from verifiers.types import Problem, Verdict, Verifier


def benchmark_verifier(name: str, prompt: str, **options: Any) -> Verifier:
    """The verifier of a benchmark for a variant of its prompts; `options` are about the machine."""
    benchmark = find_benchmark(name)
    named = {**benchmark.verifier, **benchmark.prompts[prompt].verifier}
    return load_verifier(named.pop("name"), **named, **options)


def problems_of(name: str, rows: Sequence[dict[str, Any]], folder: Path) -> list[Problem]:
    """Rows in the columns of the hub as problems of a benchmark."""
    file = folder / f"{name}_rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    problems = load_benchmark(find_benchmark(name), path=str(file)).problems
    assert len(problems) == len(rows)
    return problems


def benchmark_rows(problem_ids: Sequence[str], verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """What samples.jsonl holds of answers, as far as the figures of a benchmark read it."""
    return [
        {
            "problem_id": problem_id,
            "verdicts": {"correctness": verdict.to_dict()},
            "response_tokens": 1,
            "finish_reason": "stop",
        }
        for problem_id, verdict in zip(problem_ids, verdicts, strict=True)
    ]


def math_verdicts(name: str, cases: Sequence[Case], folder: Path) -> list[Verdict]:
    """Verdicts of `gsm8k` or `math500`."""
    if name == "gsm8k":
        rows = [{"question": f"{c.id}: {c.problem}", "answer": f"It is so.\n#### {c.gold}"} for c in cases]
    else:
        rows = [{"unique_id": c.id, "problem": c.problem, "answer": c.gold} for c in cases]
    references = [problem.reference for problem in problems_of(name, rows, folder)]
    return benchmark_verifier(name, "boxed").verify([case.response for case in cases], references)
