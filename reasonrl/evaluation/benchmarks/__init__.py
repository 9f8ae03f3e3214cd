"""Benchmarks by name. To add one, write its file and add its line."""

from __future__ import annotations

import importlib

from reasonrl.errors import UsageError
from reasonrl.evaluation.benchmarks.base import Benchmark
from reasonrl.words import did_you_mean

BENCHMARKS = {
    "gsm8k": "gsm8k:GSM8K",
    "gsm8k_platinum": "gsm8k:GSM8K_PLATINUM",
    "gsm_hard": "gsm8k:GSM_HARD",
    "math500": "hendrycks_math:MATH500",
    "math_level5": "hendrycks_math:MATH_LEVEL5",
    "aime24": "competitions:AIME24",
    "aime25": "competitions:AIME25",
    "aime26": "competitions:AIME26",
    "hmmt_feb25": "competitions:HMMT_FEB25",
    "amc23": "competitions:AMC23",
    "minerva": "minerva:MINERVA",
    "olympiadbench": "olympiadbench:OLYMPIADBENCH",
    "humaneval": "humaneval:HUMANEVAL",
    "humaneval_plus": "humaneval:HUMANEVAL_PLUS",
    "mbpp": "mbpp:MBPP",
    "mbpp_plus": "mbpp:MBPP_PLUS",
    "livecodebench": "livecodebench:LIVECODEBENCH",
    "code_contests": "code_contests:CODE_CONTESTS",
    "bigcodebench_hard": "bigcodebench:BIGCODEBENCH_HARD",
    "minif2f": "lean:MINIF2F",
    "minif2f_valid": "lean:MINIF2F_VALID",
    "proofnet": "lean:PROOFNET",
    "putnambench": "lean:PUTNAMBENCH",
}
"""Name -> module:benchmark, in this package."""
CRITIC_BENCHMARKS = {
    "processbench": "solutions:PROCESSBENCH",
    "bigbench_mistake": "solutions:BIGBENCH_MISTAKE",
    "prm800k": "solutions:PRM800K",
    "criticbench": "solutions:CRITICBENCH",
}
"""Solutions to judge, for `reasonrl critic eval`."""


def find_benchmark(name: str, *, for_critics: bool = False) -> Benchmark:
    """Raises UsageError for an unknown name, and for one of the other kind."""
    known, others = (CRITIC_BENCHMARKS, BENCHMARKS) if for_critics else (BENCHMARKS, CRITIC_BENCHMARKS)
    if name in others:
        command = "reasonrl eval" if for_critics else "reasonrl critic eval"
        raise UsageError(f"{name} is a benchmark of {command}: {command} MODEL --benchmarks {name}")
    if name not in known:
        hint = did_you_mean(name, known)
        raise UsageError(f"there is no benchmark {name!r}; {hint + ' ' if hint else ''}choose of {', '.join(known)}")
    module, _, attribute = known[name].partition(":")
    benchmark: Benchmark = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    return benchmark
