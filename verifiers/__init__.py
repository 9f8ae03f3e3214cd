"""Is this answer right? Verifiers for math answers, reasoning-gym problems and response formats, and the process pool
that they use.

This package knows nothing of training and can be used alone:

    from verifiers import load_verifier
    verdicts = load_verifier("math").verify(["... \\\\boxed{1/2}"], [{"answer": "0.5"}])

Everything but the types is imported when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from verifiers.types import Layer, Message, Problem, Status, Verdict, Verifier

if TYPE_CHECKING:
    from verifiers.errors import (
        BadOption,
        BadReference,
        MissingMethod,
        MissingPackage,
        PoolError,
        UnknownVerifier,
        VerifierError,
    )
    from verifiers.format import FormatVerifier
    from verifiers.loading import load_verifier
    from verifiers.math import MathVerifier
    from verifiers.pool.pool import Outcome, WorkerPool
    from verifiers.reasoning_gym import ReasoningGymVerifier

__dist__ = (
    "reasonrl"  # another distribution is imported as `verifiers` too; reasonrl looks here to see which one was found
)

_LAZY = {
    "BadOption": "verifiers.errors",
    "BadReference": "verifiers.errors",
    "FormatVerifier": "verifiers.format",
    "MathVerifier": "verifiers.math",
    "MissingMethod": "verifiers.errors",
    "MissingPackage": "verifiers.errors",
    "Outcome": "verifiers.pool.pool",
    "PoolError": "verifiers.errors",
    "ReasoningGymVerifier": "verifiers.reasoning_gym",
    "UnknownVerifier": "verifiers.errors",
    "VerifierError": "verifiers.errors",
    "WorkerPool": "verifiers.pool.pool",
    "load_verifier": "verifiers.loading",
}

__all__ = [
    "BadOption",
    "BadReference",
    "FormatVerifier",
    "Layer",
    "MathVerifier",
    "Message",
    "MissingMethod",
    "MissingPackage",
    "Outcome",
    "PoolError",
    "Problem",
    "ReasoningGymVerifier",
    "Status",
    "UnknownVerifier",
    "Verdict",
    "Verifier",
    "VerifierError",
    "WorkerPool",
    "load_verifier",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'verifiers' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY))
