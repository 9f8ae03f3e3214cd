"""LiveCodeBench (arXiv:2403.07974), code generation. The window of contest dates is part of what a score means."""

from __future__ import annotations

from reasonrl.evaluation.benchmarks.base import Benchmark, HubRows, Reported
from reasonrl.evaluation.benchmarks.prompts import PROGRAM, PROGRAM_TEXT

FIRST, LAST = "2024-08-01", "2025-05-01"
"""The board's window of release 6."""

LIVECODEBENCH = Benchmark(
    name="livecodebench",
    title=f"LiveCodeBench v6, contests from {FIRST} to {LAST}",
    hub=HubRows("lighteval/code_generation_lite", "test", "release_v6"),
    licence="CC; the problems belong to their contests",
    kind="code",
    prompts={"chat": PROGRAM, "completion": PROGRAM_TEXT},
    verifier={"name": "code"},
    keeps=lambda row: "contest_date" not in row or FIRST <= str(row["contest_date"])[:10] <= LAST,
    also_named=("livecodebench", "lighteval/code_generation_lite"),
    max_new_tokens=16_384,
    notes=("All problems of its list of errata are of contests before this window.",),
    reported=(
        Reported("DeepSeek-R1-Distill-Qwen-1.5B", 16.9, None, "window 2024-08 to 2025-01", "DeepSeek-R1 report"),
        Reported("DeepSeek-R1-Distill-Qwen-7B", 37.6, None, "window 2024-08 to 2025-01", "DeepSeek-R1 report"),
    ),
)
