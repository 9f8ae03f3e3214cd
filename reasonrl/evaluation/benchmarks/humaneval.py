"""HumanEval (arXiv:2107.03374), and HumanEval+ with EvalPlus's tests (arXiv:2305.01210)."""

from __future__ import annotations

from reasonrl.evaluation.benchmarks.base import Benchmark, HubRows, KnownError
from reasonrl.evaluation.benchmarks.prompts import COMPLETION, FUNCTION

_HUMANEVAL = "github.com/openai/human-eval, pull request 23"
_ERRORS = (
    KnownError("47", "an example in the prompt has a wrong result", _HUMANEVAL),
    KnownError("75", "the prompt bounds a number that the tests do not bound", _HUMANEVAL),
    KnownError("116", "the examples in the prompt contradict the tests", _HUMANEVAL),
)
_PROMPTS = {"chat": FUNCTION, "completion": COMPLETION}

HUMANEVAL = Benchmark(
    name="humaneval",
    title="HumanEval",
    hub=HubRows("openai/openai_humaneval", "test", None, "7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544", 164),
    licence="MIT",
    kind="code",
    prompts=_PROMPTS,
    verifier={"name": "code"},
    also_named=("humaneval", "openai/openai_humaneval"),
    max_new_tokens=1024,
    known_errors=_ERRORS,
    notes=(
        "Four prompts hold a helper beside the function: the prompt is put before every answer, as its scorer does.",
    ),
)
HUMANEVAL_PLUS = Benchmark(
    name="humaneval_plus",
    title="HumanEval+",
    hub=HubRows("evalplus/humanevalplus", "test", rows=164),
    licence="Apache-2.0",
    kind="code",
    prompts=_PROMPTS,
    verifier={"name": "code"},
    also_named=("humaneval_plus", "evalplus/humanevalplus"),
    max_new_tokens=1024,
    known_errors=_ERRORS,
)
