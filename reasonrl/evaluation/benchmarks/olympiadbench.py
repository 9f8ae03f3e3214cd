"""OlympiadBench (arXiv:2402.14008): the open-ended mathematics in English without pictures."""

from __future__ import annotations

from typing import Any

from reasonrl.evaluation.benchmarks import golds
from reasonrl.evaluation.benchmarks.base import Benchmark, HubRows, Reported
from reasonrl.evaluation.benchmarks.prompts import MATH

_SOBER = "sober-reasoning, 10 seeds, T 0.8"


def _row(row: dict[str, Any]) -> dict[str, Any]:
    text = row["question"] if "question" in row else row["problem"]
    if isinstance(row.get("context"), str) and row["context"].strip():
        text = f"{row['context'].strip()}\n\n{text}"
    answer = row["final_answer"] if "final_answer" in row else row["answer"]
    named = {"id": row["id"]} if row.get("id") is not None else {}
    return {**named, "problem": text, "answer": golds.several(answer)}


OLYMPIADBENCH = Benchmark(
    name="olympiadbench",
    title="OlympiadBench, mathematics in English",
    hub=HubRows("Hothan/OlympiadBench", "train", "OE_TO_maths_en_COMP", rows=674),
    licence="MIT",
    prompts=MATH,
    verifier={"name": "math", "mode": "lenient"},
    row=_row,
    also_named=("olympiadbench", "knoveleng/OlympiadBench"),
    notes=("Another copy has 675 rows. 94 golds are several answers, 33 tuples, 6 intervals, 8 have units.",),
    reported=(
        Reported("Qwen2.5-Math-1.5B-Instruct", 37.9, 0.2, "boxed", _SOBER),
        Reported("Qwen2.5-Math-7B-Instruct", 41.3, 0.9, "boxed", _SOBER),
        Reported("DeepSeek-R1-Distill-Qwen-1.5B", 52.4, None, "boxed, 32,768 tokens", _SOBER),
    ),
)
