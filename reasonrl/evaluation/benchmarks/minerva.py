"""Minerva's set of university problems (arXiv:2206.14858): answers with units, three figures, or symbols."""

from __future__ import annotations

from typing import Any

from reasonrl.data.answers import boxed_answer
from reasonrl.evaluation.benchmarks import golds
from reasonrl.evaluation.benchmarks.base import Benchmark, HubRows, Reported
from reasonrl.evaluation.benchmarks.prompts import MATH

_SOBER = "sober-reasoning, 10 seeds, T 0.8"


def _row(row: dict[str, Any]) -> dict[str, Any]:
    text = row["problem"] if "problem" in row else row["question"]
    answer = row["answer"] if row.get("answer") is not None else boxed_answer(row["solution"])
    if answer is None:
        raise ValueError("the solution has no \\boxed{} answer")
    named = {"id": row["id"]} if row.get("id") is not None else {}
    return {**named, "problem": text, "answer": golds.plain(answer)}


MINERVA = Benchmark(
    name="minerva",
    title="Minerva Math",
    hub=HubRows("math-ai/minervamath", "test", rows=272),
    licence="MIT OpenCourseWare (CC BY-NC-SA)",
    prompts=MATH,
    verifier={"name": "math", "mode": "lenient"},
    row=_row,
    also_named=("minerva_math", "minerva", "knoveleng/Minerva-Math"),
    notes=("Golds are rounded to about three figures: the tolerance of a verifier moves the score.",),
    reported=(
        Reported("Qwen2.5-Math-1.5B-Instruct", 26.7, 1.8, "boxed; 29.4 in its own report", _SOBER),
        Reported("Qwen2.5-Math-7B-Instruct", 35.0, 0.6, "boxed; 37.1 in its own report", _SOBER),
    ),
)
