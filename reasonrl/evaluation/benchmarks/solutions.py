"""Solutions with labels, for critics: ProcessBench (arXiv:2412.06559), BIG-Bench-Mistake (2311.08516), PRM800K
(2305.20050) and CriticBench (2402.14809). Their rows are read by `reasonrl.data.critiques`.
"""

from __future__ import annotations

from typing import Any

from reasonrl.evaluation.benchmarks.base import Benchmark, HubRows

_PARTS = "gsm8k+math+olympiadbench+omnimath"


def _with_suite(row: dict[str, Any]) -> dict[str, Any]:
    """The subset, which the hub's rows say in their id alone."""
    if row.get("suite") or not isinstance(row.get("id"), str):
        return row
    return {**row, "suite": f"processbench_{row['id'].rpartition('-')[0]}"}


def _critic_bench(row: dict[str, Any]) -> dict[str, Any]:
    if "reference" in row:  # of ours already
        return row
    label = row["response_label"]
    if not isinstance(label, bool) and label not in (0, 1):
        raise ValueError(f"response_label must be true or false, not {label!r:.40}")
    reference = {"solution": row["response"], "correct": bool(label), "answer": str(row["answer"])}
    fields = {"id": str(row["id"]), "prompt": row["question"], "kind": "critique", "reference": reference}
    return fields | {"source": "criticbench", "meta": {"suite": f"criticbench_{row['question_type']}"}}


PROCESSBENCH = Benchmark(
    name="processbench",
    title="ProcessBench",
    hub=HubRows("Qwen/ProcessBench", _PARTS, rows=3400),
    licence="Apache-2.0",
    kind="critique",
    row=_with_suite,
    also_named=tuple(f"processbench_{part}" for part in ("gsm8k", "math", "olympiadbench", "omnimath")),
    notes=("Final answers can be right where a step is wrong: an answer verifier is no substitute.",),
)
BIGBENCH_MISTAKE = Benchmark(
    name="bigbench_mistake",
    title="BIG-Bench-Mistake",
    hub=None,
    published="the repository WHGTyen/BIG-Bench-Mistake, a .jsonl for each task",
    licence="Apache-2.0",
    kind="critique",
    also_named=("bigbench_mistake",),
    notes=("Most of its solutions have a mistake: a critic that always says so looks good. See the false alarms.",),
)
PRM800K = Benchmark(
    name="prm800k",
    title="PRM800K, phase 2, test",
    hub=None,
    published="the repository openai/prm800k, prm800k/data/phase2_test.jsonl",
    licence="MIT",
    kind="critique",
    also_named=("prm800k",),
    notes=("Critics that were trained on its training set know 4,500 of MATH's 5,000 test problems.",),
)
CRITICBENCH = Benchmark(
    name="criticbench",
    title="CriticBench",
    hub=HubRows("llm-agents/CriticBench", "test"),
    licence="MIT",
    kind="critique",
    row=_critic_bench,
    also_named=("criticbench",),
)
