"""Our verifiers as reward functions for other trainers.

verl:  reward.custom_reward_function.path=pkg://verifiers.adapters reward.custom_reward_function.name=compute_score
TRL:   GRPOTrainer(reward_funcs=[verifiers.adapters.trl_reward("math", column="answer")], ...)

Both trainers want a number. TRL leaves a rollout out of a reward that is None; verl has no such thing, so there a row
that could not be judged gets 0 and says so in `undecided`, which verl logs beside the reward: watch it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

from verifiers.loading import load_verifier
from verifiers.optional import reference_of, row_fields
from verifiers.types import Verifier

_NOT_OPTIONS = ("reward_router_address", "reward_model_tokenizer")
"""What verl passes to every reward function."""
_SHARED: dict[tuple[str, str], Verifier] = {}
_LOCK = threading.Lock()


def _shared(spec: str, options: dict[str, Any]) -> Verifier:
    """One verifier, and so one set of worker processes, for all calls with the same options in this process."""
    key = (spec, repr(sorted(options.items())))
    with _LOCK:
        if key not in _SHARED:
            _SHARED[key] = load_verifier(spec, **options)
        return _SHARED[key]


def read_reference(verifier: Verifier, value: Any) -> dict[str, Any]:
    """The reference in a column of another trainer's data: a dictionary as it is, or as JSON text (as our own rows for
    verl and TRL hold it); anything else is a gold answer, which the verifier makes a reference of, or {"answer": value}
    if it does not say.
    """
    if isinstance(value, dict):
        return value
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            reference = json.loads(value)
        except (ValueError, RecursionError):  # an answer that only looks like JSON: a set of numbers
            reference = None
        if isinstance(reference, dict):
            return reference
    return reference_of(verifier, value) if hasattr(verifier, "reference_of") else {"answer": value}


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Any = None,
    *,
    verifier: str = "math",
    **options: Any,
) -> dict[str, Any]:
    """verl's reward function. Every row has the same keys, as verl demands: score, acc, undecided (1 if not judged),
    status, reason.

    `reward.custom_reward_function.reward_kwargs` may hold `verifier` and options of the verifier (for math, `mode`).
    `read_reference` says what a ground truth may be. Raises what a mistake in the options raises; never for what a
    response holds.
    """
    judge = _shared(verifier, {key: value for key, value in options.items() if key not in _NOT_OPTIONS})
    (verdict,) = judge.verify([solution_str], [read_reference(judge, ground_truth)])
    score = verdict.score if verdict.score is not None else 0.0
    return {
        "score": score,
        "acc": score,
        "undecided": float(verdict.correct is None),
        "status": verdict.status.value,
        "reason": verdict.reason,
    }


def trl_reward(
    verifier: str = "math", *, column: str | None = None, **options: Any
) -> Callable[..., list[float | None]]:
    """A reward function for TRL: 1 or 0 (or the verifier's score), None where nothing could be judged.

    `column` is the column of the data set with the reference; `read_reference` says what it may hold. By default it is
    "answer", or the main field of a verifier whose references have fields of their own ("tests" for code): then columns
    with the names of its other fields are read too. Raises ValueError if it is not there.
    """
    shared_verifier = _shared(verifier, options)
    fields = row_fields(shared_verifier)
    name = column or (fields[0] if fields else "answer")

    def reward(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
        if name not in columns:
            raise ValueError(
                f"the data set has no column {name!r}; it has {', '.join(columns)}. Name the right one with column="
            )
        texts = [
            completion if isinstance(completion, str) else str(completion[-1]["content"]) for completion in completions
        ]
        references = [read_reference(shared_verifier, value) for value in columns[name]]
        for other in fields if name in fields else ():
            if other != name and other in columns:
                values = columns[other]
                references = [
                    reference if value is None else {other: value, **reference}
                    for reference, value in zip(references, values, strict=True)
                ]
        return [verdict.score for verdict in shared_verifier.verify(texts, references)]

    reward.__name__ = f"{verifier}_reward"
    return reward
