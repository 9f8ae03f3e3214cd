"""reasonrl: reinforcement learning of reasoning with verifiers and critics.

    from reasonrl import load_recipe, train

    run = train(load_recipe("quickstart", "train.steps=5"), "runs/first")
    print(run.evaluations()[-1])

The names below are imported when they are first used, so `import reasonrl` loads neither torch nor transformers.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from reasonrl._installation import check_verifiers
from reasonrl.host.tuning import wait_patiently

if TYPE_CHECKING:
    from reasonrl.api.evaluation import EvaluationResult, compare, evaluate, evaluate_benchmarks
    from reasonrl.api.problems import load_problems
    from reasonrl.api.recipes import load_recipe
    from reasonrl.api.runs import Run
    from reasonrl.api.training import train
    from reasonrl.errors import DataError, ModelError, ReasonRLError, RecipeError, TrainingError, UsageError

__version__ = "0.1.0"

__all__ = [
    "DataError",
    "EvaluationResult",
    "ModelError",
    "ReasonRLError",
    "RecipeError",
    "Run",
    "TrainingError",
    "UsageError",
    "compare",
    "evaluate",
    "evaluate_benchmarks",
    "load_problems",
    "load_recipe",
    "train",
]

_MODULES = {
    "DataError": "reasonrl.errors",
    "EvaluationResult": "reasonrl.api.evaluation",
    "ModelError": "reasonrl.errors",
    "ReasonRLError": "reasonrl.errors",
    "RecipeError": "reasonrl.errors",
    "Run": "reasonrl.api.runs",
    "TrainingError": "reasonrl.errors",
    "UsageError": "reasonrl.errors",
    "compare": "reasonrl.api.evaluation",
    "evaluate": "reasonrl.api.evaluation",
    "evaluate_benchmarks": "reasonrl.api.evaluation",
    "load_problems": "reasonrl.api.problems",
    "load_recipe": "reasonrl.api.recipes",
    "train": "reasonrl.api.training",
}

# Threads of torch's OpenMP spin while they wait, so two processes on the same cores take each other's time. Measured on
# 2 cores, steps of the recipe quickstart: two side by side 243 s, and 22.5 s with this setting. OpenMP reads it when
# torch is imported. Commands that compute for long take it back for one process at a time.
wait_patiently()

check_verifiers()


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'reasonrl' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
