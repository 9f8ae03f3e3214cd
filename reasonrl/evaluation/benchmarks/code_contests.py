"""CodeContests (arXiv:2203.07814): competitive programs that read their input and write an answer."""

from __future__ import annotations

from reasonrl.evaluation.benchmarks.base import Benchmark, HubRows
from reasonrl.evaluation.benchmarks.prompts import PROGRAM, PROGRAM_TEXT

CODE_CONTESTS = Benchmark(
    name="code_contests",
    title="CodeContests",
    hub=HubRows("deepmind/code_contests", "test", rows=165),
    licence="CC BY 4.0",
    kind="code",
    prompts={"chat": PROGRAM, "completion": PROGRAM_TEXT},
    verifier={"name": "code"},
    also_named=("code_contests", "deepmind/code_contests"),
    max_new_tokens=4096,
    notes=("Its tests are incomplete: some wrong programs pass, and some right ones print another valid answer.",),
)
