"""GSM8K (arXiv:2110.14168): word problems of primary school; its cleaned edition; and GSM-Hard, with large numbers."""

from __future__ import annotations

from reasonrl.evaluation.benchmarks import golds
from reasonrl.evaluation.benchmarks.base import Benchmark, HubRows, KnownError, Reported, math_row
from reasonrl.evaluation.benchmarks.prompts import MATH

_ROW = math_row(question="question", answer="answer", gold=golds.marked)
_VERIFIER = {"name": "math", "mode": "lenient"}
_THREAD = "github.com/openai/grade-school-math, issues 25 and 35; checked by hand"
_ERRORS = (
    KnownError("10fe1ed131443488", "two eat 4 apples each, and the solution adds 4 + 1", _THREAD, "240"),
    KnownError("0b2633ca84a7988e", "15 hours are taken for 3", _THREAD, "1800"),
    KnownError("54c9ac6d5468d1f6", "one of four amounts is replaced by a difference", _THREAD, "2180"),
    KnownError("1fe4f3397e82a0c9", "5% a year: of the first price or of the last one", _THREAD),
    KnownError("073bfce8a812e2c4", "three times more: 3 or 4 times as many", _THREAD),
)
"""Rows 454, 952, 1309, 1016 and 368 of the test split, from 0."""

GSM8K = Benchmark(
    name="gsm8k",
    title="GSM8K",
    hub=HubRows("openai/gsm8k", "test", "main", "cc7b047b6e5bb11b4f1af84efc572db110a51b3c", 1319),
    licence="MIT",
    prompts=MATH,
    verifier=_VERIFIER,
    row=_ROW,
    also_named=("gsm8k_test", "openai/gsm8k"),
    max_new_tokens=1024,
    notes=("More labels are wrong: gsm8k_platinum is the edition in which they were mended, with 1,209 rows.",),
    known_errors=_ERRORS,
    reported=(
        Reported("Qwen2.5-Math-1.5B", 76.8, None, "4-shot, greedy", "Qwen2.5-Math report"),
        Reported("Qwen2.5-Math-1.5B-Instruct", 84.8, None, "boxed, greedy", "Qwen2.5-Math report"),
        Reported("Qwen2.5-Math-7B", 91.6, None, "4-shot, greedy; others measure 59 to 77", "Qwen2.5-Math report"),
        Reported("Qwen2.5-Math-7B-Instruct", 95.2, None, "boxed, greedy; reruns 92.8 to 93.3", "Qwen2.5-Math report"),
        Reported("Qwen3-1.7B-Base", 75.4, None, "4-shot", "Qwen3 report"),
        Reported("Qwen3-4B-Base", 87.8, None, "4-shot", "Qwen3 report"),
        Reported("Qwen3-8B-Base", 89.8, None, "4-shot", "Qwen3 report"),
        Reported("Llama-3.2-3B-Instruct", 77.7, None, "8-shot", "model card"),
    ),
)
GSM8K_PLATINUM = Benchmark(
    name="gsm8k_platinum",
    title="GSM8K-Platinum",
    hub=HubRows("madrylab/gsm8k-platinum", "test", "main", rows=1209),
    licence="MIT",
    prompts=MATH,
    verifier=_VERIFIER,
    row=_ROW,
    also_named=("madrylab/gsm8k-platinum",),
    max_new_tokens=1024,
)
GSM_HARD = Benchmark(
    name="gsm_hard",
    title="GSM-Hard",
    hub=HubRows("reasoning-machines/gsm-hard", "train", rows=1319),
    licence="MIT",
    prompts=MATH,
    verifier={"name": "math", "mode": "lenient"},
    row=math_row(question="input", answer="target", gold=golds.plain),
    also_named=("reasoning-machines/gsm-hard",),
    max_new_tokens=1024,
    notes=(
        "Golds are floats that a program has computed from changed numbers; some are absurd, such as half a child.",
    ),
)
