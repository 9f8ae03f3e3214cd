"""MBPP (arXiv:2108.07732), test split of the full set, and MBPP+ with EvalPlus's tests."""

from __future__ import annotations

from reasonrl.evaluation.benchmarks.base import Benchmark, HubRows, KnownError
from reasonrl.evaluation.benchmarks.prompts import PROGRAM, PROGRAM_TEXT

_EVALPLUS = "github.com/evalplus/evalplus, issue 147"
_ORDER = KnownError("229", "a test wants an order of the positive numbers that the task does not name", _EVALPLUS)
_PROMPTS = {"chat": PROGRAM, "completion": PROGRAM_TEXT}

MBPP = Benchmark(
    name="mbpp",
    title="MBPP",
    hub=HubRows("google-research-datasets/mbpp", "test", "full", "4bb6404fdc6cacfda99d4ac4205087b89d32030c", 500),
    licence="CC BY 4.0",
    kind="code",
    prompts=_PROMPTS,
    verifier={"name": "code"},
    also_named=("mbpp", "google-research-datasets/mbpp"),
    max_new_tokens=1024,
    notes=("The first test stands in the prompt, as a model cannot guess the name of the function.",),
    known_errors=(_ORDER,),
)
MBPP_PLUS = Benchmark(
    name="mbpp_plus",
    title="MBPP+",
    hub=HubRows("evalplus/mbppplus", "test", rows=378),
    licence="Apache-2.0",
    kind="code",
    prompts=_PROMPTS,
    verifier={"name": "code"},
    also_named=("mbpp_plus", "evalplus/mbppplus"),
    max_new_tokens=1024,
    known_errors=(
        _ORDER,
        KnownError("143", "a test of the hub's copy gives a list as several arguments", _EVALPLUS),
        KnownError("164", "a test of the hub's copy compares with a wrong value", _EVALPLUS),
    ),
    notes=("v0.2.0 has 378 tasks; v0.1.0 had 399, and scores about 4 points lower.",),
)
