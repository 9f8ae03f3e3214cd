"""MATH (arXiv:2103.03874): competition problems of five levels; its subset of 500, and level 5 alone."""

from __future__ import annotations

from typing import Any

from reasonrl.data.answers import boxed_answer
from reasonrl.evaluation.benchmarks import golds
from reasonrl.evaluation.benchmarks.base import Benchmark, HubRows, Reported, math_row
from reasonrl.evaluation.benchmarks.prompts import MATH

_SOBER = "sober-reasoning, 10 seeds, T 0.8"


def _from_solution(row: dict[str, Any]) -> dict[str, Any]:
    answer = row["answer"] if "answer" in row else boxed_answer(row["solution"])
    if answer is None:
        raise ValueError("the solution has no \\boxed{} answer")
    named = {"id": row["id"]} if row.get("id") is not None else {}
    return {**named, "problem": row["problem"], "answer": golds.plain(answer)}


MATH500 = Benchmark(
    name="math500",
    title="MATH-500",
    hub=HubRows("HuggingFaceH4/MATH-500", "test", rows=500),
    licence="MIT for the selection; the problems belong to their competitions",
    prompts=MATH,
    verifier={"name": "math", "mode": "lenient"},
    row=math_row(question="problem", answer="answer", gold=golds.plain, identity="unique_id"),
    also_named=("math500", "math-500", "HuggingFaceH4/MATH-500"),
    notes=(
        "Qwen2.5 models complete many of its problems from their beginnings (arXiv:2507.10532): for them it measures"
        " memory too.",
    ),
    reported=(
        Reported("Qwen2.5-Math-1.5B", 51.7, 5.5, "boxed", _SOBER),
        Reported("Qwen2.5-Math-7B", 64.3, 0.5, "boxed", _SOBER),
        Reported("Qwen2.5-Math-1.5B-Instruct", 74.7, 0.5, "boxed", _SOBER),
        Reported("Qwen2.5-Math-7B-Instruct", 82.9, 0.1, "boxed", _SOBER),
        Reported("DeepSeek-R1-Distill-Qwen-1.5B", 84.9, 0.3, "boxed, 32,768 tokens", _SOBER),
        Reported("DeepSeek-R1-Distill-Qwen-7B", 94.1, 0.3, "boxed, 32,768 tokens", _SOBER),
        Reported("Qwen3-1.7B", 93.4, None, "thinking", "Qwen3 report"),
        Reported("Qwen3-4B", 97.0, None, "thinking", "Qwen3 report"),
        Reported("Qwen3-8B", 97.4, None, "thinking", "Qwen3 report"),
    ),
)
MATH_LEVEL5 = Benchmark(
    name="math_level5",
    title="MATH, level 5",
    hub=HubRows("DigitalLearningGmbH/MATH-lighteval", "test", revision="0530c78699ea5e8eb5530600900e1f328b48acad"),
    licence="MIT for the data set; the problems belong to their competitions",
    prompts=MATH,
    verifier={"name": "math", "mode": "lenient"},
    row=_from_solution,
    keeps=lambda row: str(row.get("level", 5)).rpartition(" ")[2] == "5",
    also_named=("math_level5",),
    notes=(
        "1,324 of the 5,000 test problems. 4,500 of the 5,000 are in PRM800K's training set: not for critics of it.",
    ),
)
