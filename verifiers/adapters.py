"""Our verifiers where other trainers want a reward function.

verl:  reward.custom_reward_function.path=pkg://verifiers.adapters reward.custom_reward_function.name=compute_score
TRL:   GRPOTrainer(reward_funcs=[verifiers.adapters.trl_reward("math", column="answer")], ...)

Both trainers want a number. TRL leaves a rollout out of a reward that is None; verl has no such thing, so there a row
that could not be judged gets 0 and says so in `undecided`, which verl logs beside the reward: watch it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from verifiers.loading import load_verifier
from verifiers.types import Verifier


@functools.lru_cache(maxsize=16)
def _shared(spec: str, options: tuple[tuple[str, Any], ...]) -> Verifier:
    """One verifier, and so one set of worker processes, for all calls with the same options in this process."""
    return load_verifier(spec, **dict(options))


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Any = None,
    *,
    verifier: str = "math",
    mode: str = "strict",
    **options: Any,
) -> dict[str, Any]:
    """verl's reward function. Every row has the same keys, as verl demands: score, acc, undecided (1 if not judged),
    status, reason.

    `reward.custom_reward_function.reward_kwargs` may hold `verifier`, `mode` and options of the verifier. A dictionary
    as ground truth is the reference itself; anything else is its "answer". Raises what a mistake in the options raises;
    never for what a response holds.
    """
    if verifier == "math":
        options = {"mode": mode, **options}
    reference = ground_truth if isinstance(ground_truth, dict) else {"answer": ground_truth}
    known = {
        key: value for key, value in options.items() if key not in ("reward_router_address", "reward_model_tokenizer")
    }
    (verdict,) = _shared(verifier, tuple(sorted(known.items()))).verify([solution_str], [reference])
    score = verdict.score if verdict.score is not None else 0.0
    return {
        "score": score,
        "acc": score,
        "undecided": float(verdict.correct is None),
        "status": verdict.status.value,
        "reason": verdict.reason,
    }


def trl_reward(verifier: str = "math", *, column: str = "answer", **options: Any) -> Callable[..., list[float | None]]:
    """A reward function for TRL: 1 or 0 (or the verifier's score), None where nothing could be judged.

    `column` is the column of the data set with the reference: an answer, or a dictionary. Raises ValueError if it is
    not there.
    """
    shared_verifier = _shared(verifier, tuple(sorted(options.items())))

    def reward(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
        if column not in columns:
            raise ValueError(
                f"the data set has no column {column!r}; it has: {', '.join(columns)}. Name the right one with column="
            )
        texts = [
            completion if isinstance(completion, str) else str(completion[-1]["content"]) for completion in completions
        ]
        references = [value if isinstance(value, dict) else {"answer": value} for value in columns[column]]
        return [verdict.score for verdict in shared_verifier.verify(texts, references)]

    reward.__name__ = f"{verifier}_reward"
    return reward
