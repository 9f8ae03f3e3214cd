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
}
"""Name -> module:benchmark, in this package."""


def find_benchmark(name: str) -> Benchmark:
    """Raises UsageError for an unknown name."""
    if name not in BENCHMARKS:
        hint = did_you_mean(name, BENCHMARKS)
        raise UsageError(
            f"there is no benchmark {name!r}; {hint + ' ' if hint else ''}choose of {', '.join(BENCHMARKS)}"
        )
    module, _, attribute = BENCHMARKS[name].partition(":")
    benchmark: Benchmark = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    return benchmark
