"""Competitions whose answers are single numbers: AIME, AMC, HMMT. Sets of 30 or 40: a score has a wide interval."""

from __future__ import annotations

from reasonrl.evaluation.benchmarks import golds
from reasonrl.evaluation.benchmarks.base import Benchmark, HubRows, Reported, math_row
from reasonrl.evaluation.benchmarks.prompts import MATH

_VERIFIER = {"name": "math", "mode": "lenient"}
_LICENCE = "the problems belong to the Mathematical Association of America"
_SOBER = "sober-reasoning, 10 seeds, T 0.8"
_R1 = "boxed, 32,768 tokens, T 0.6"

AIME24 = Benchmark(
    name="aime24",
    title="AIME 2024",
    hub=HubRows("Maxwell-Jia/AIME_2024", "train", revision="8d88b2876a82a080e2f172cc9b25d0d9d2cb4792", rows=30),
    licence=_LICENCE,
    prompts=MATH,
    verifier=_VERIFIER,
    row=math_row(question="Problem", answer="Answer", gold=golds.integer, identity="ID"),
    also_named=("aime_2024", "aime24", "HuggingFaceH4/aime_2024"),
    max_new_tokens=32_768,
    notes=("Some copies pad golds with zeros (025): they are read as numbers here.",),
    reported=(
        Reported("Qwen2.5-Math-7B", 20.7, 3.8, "boxed", _SOBER),
        Reported("Qwen2.5-Math-7B-Instruct", 15.7, 3.9, "boxed", _SOBER),
        Reported("DeepSeek-R1-Distill-Qwen-1.5B", 28.7, 4.8, _R1, _SOBER),
        Reported("DeepSeek-R1-Distill-Qwen-7B", 52.3, 6.3, _R1, _SOBER),
        Reported("Qwen3-1.7B", 48.3, None, "thinking, 38,912 tokens, n 64", "Qwen3 report"),
        Reported("Qwen3-4B", 73.8, None, "thinking, 38,912 tokens, n 64", "Qwen3 report"),
        Reported("Qwen3-8B", 76.0, None, "thinking, 38,912 tokens, n 64", "Qwen3 report"),
    ),
)
AIME25 = Benchmark(
    name="aime25",
    title="AIME 2025",
    hub=HubRows("math-ai/aime25", "test", revision="563bb8404243c5f09de6ec262f2db674fe5bce9b", rows=30),
    licence=_LICENCE,
    prompts=MATH,
    verifier=_VERIFIER,
    row=math_row(question="problem", answer="answer", gold=golds.integer),
    also_named=("aime_2025", "aime25", "yentinglin/aime_2025", "MathArena/aime_2025"),
    max_new_tokens=32_768,
    reported=(
        Reported("DeepSeek-R1-Distill-Qwen-7B", 39.0, 5.9, _R1, _SOBER),
        Reported("Qwen3-1.7B", 36.8, None, "thinking, 38,912 tokens, n 64", "Qwen3 report"),
        Reported("Qwen3-4B", 65.6, None, "thinking, 38,912 tokens, n 64", "Qwen3 report"),
        Reported("Qwen3-8B", 67.3, None, "thinking, 38,912 tokens, n 64", "Qwen3 report"),
    ),
)
AIME26 = Benchmark(
    name="aime26",
    title="AIME 2026",
    hub=HubRows("MathArena/aime_2026", "train", rows=30),
    licence="CC BY-NC-SA 4.0 for the collection",
    prompts=MATH,
    verifier=_VERIFIER,
    row=math_row(question="problem", answer="answer", gold=golds.integer, identity="problem_idx"),
    also_named=("aime_2026", "aime26"),
    max_new_tokens=32_768,
)
HMMT_FEB25 = Benchmark(
    name="hmmt_feb25",
    title="HMMT February 2025",
    hub=HubRows("MathArena/hmmt_feb_2025", "train", rows=30),
    licence="CC BY-NC-SA 4.0 for the collection",
    prompts=MATH,
    verifier=_VERIFIER,
    row=math_row(question="problem", answer="answer", gold=golds.plain, identity="problem_idx"),
    also_named=("hmmt_feb_2025",),
    max_new_tokens=32_768,
)
AMC23 = Benchmark(
    name="amc23",
    title="AMC 2023",
    hub=HubRows("math-ai/amc23", "test", rows=40),
    licence=_LICENCE,
    prompts=MATH,
    verifier=_VERIFIER,
    row=math_row(question="question", answer="answer", gold=golds.integer),
    also_named=("amc_2023", "amc23", "knoveleng/AMC-23"),
    max_new_tokens=16_384,
    notes=("Sets of 40, 46 and 83 rows share this name; 83 are those of 2022 and 2023.",),
    reported=(
        Reported("Qwen2.5-Math-7B", 56.2, 5.7, "boxed", _SOBER),
        Reported("Qwen2.5-Math-7B-Instruct", 67.0, 3.9, "boxed", _SOBER),
        Reported("DeepSeek-R1-Distill-Qwen-1.5B", 71.5, 3.9, _R1, _SOBER),
    ),
)
