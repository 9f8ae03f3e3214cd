"""BigCodeBench-Hard (arXiv:2406.15877), completion: functions that use the libraries of daily work."""

from __future__ import annotations

import ast
from typing import Any

from reasonrl.evaluation.benchmarks.base import Benchmark, HubRows
from reasonrl.evaluation.benchmarks.prompts import COMPLETION, FUNCTION


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["task_id"],
        "kind": "code",
        "prompt": row["complete_prompt"],
        "tests": [row["test"]],
        "entry_point": row["entry_point"],
        "solution": row["canonical_solution"],
    }


def _libraries(row: dict[str, Any]) -> tuple[str, ...]:
    """The column is the text of a list. Raises ValueError."""
    names = row["libs"]
    if isinstance(names, str):
        try:
            names = ast.literal_eval(names)
        except (ValueError, SyntaxError) as error:
            raise ValueError(f"libs must be a list of modules, not {names!r:.60}") from error
    if not isinstance(names, list) or not all(isinstance(name, str) and name.isidentifier() for name in names):
        raise ValueError(f"libs must be a list of modules, not {names!r:.60}")
    return tuple(names)


BIGCODEBENCH_HARD = Benchmark(
    name="bigcodebench_hard",
    title="BigCodeBench-Hard, completion",
    hub=HubRows("bigcode/bigcodebench-hard", "v0.1.4", rows=148),
    licence="Apache-2.0",
    kind="code",
    prompts={"chat": FUNCTION, "completion": COMPLETION},
    verifier={"name": "code"},
    row=_row,
    needs=_libraries,
    also_named=("bigcodebench_hard", "bigcode/bigcodebench-hard"),
    max_new_tokens=1280,
    notes=("Its tests patch modules and read what the program does to them: they run in the program's own process.",),
)
