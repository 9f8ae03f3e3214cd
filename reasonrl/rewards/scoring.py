"""Step 4 of an update, and all of an evaluation: episodes to verdicts and reward parts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from reasonrl.environments.base import Episode
from reasonrl.errors import TrainingError
from reasonrl.rewards.base import RewardPart
from reasonrl.user_code.guards import call_user_code, detached_problem, shown
from verifiers.errors import PoolError
from verifiers.types import Status, Verdict

TEXTS = (str, bytes, bytearray, memoryview)
LARGEST = 3.4e38
"""Advantages are computed in float32."""


def score_episodes(
    episodes: Sequence[Episode], parts: Sequence[RewardPart], *, on_timeout: str = "mask", step: int = 0
) -> None:
    """Fill in verdicts and reward parts of all episodes, one batch for each part, so that the worker pools are kept
    busy.

    A verdict that is not a judgement gives the part the value None, which masks the episode: it is never a silent zero.
    With `on_timeout: wrong`, a time-out counts as the model's mistake.

    Raises TrainingError when a verifier or a reward function breaks its contract.
    """
    texts = [episode.text for episode in episodes]
    for part in parts:
        if part.verifier is not None:
            verify_episodes(part, episodes)
            for episode in episodes:
                episode.verdicts[part.name] = apply_timeout_policy(episode.verdicts[part.name], on_timeout)
                episode.reward_parts[part.name] = episode.verdicts[part.name].score
        elif part.function is not None or part.episodes is not None:
            if part.function is not None:
                problems = [detached_problem(episode.problem) for episode in episodes]
                returned = call_user_code(f"reward.{part.name}.function", part.function, list(texts), problems)
            else:
                assert part.episodes is not None
                returned = part.episodes(episodes, step)
            values = call_user_code(
                f"reward.{part.name}.function: what it returned cannot be read",
                _one_for_each,
                returned,
                part.name,
                len(episodes),
            )
            for episode, value in zip(episodes, values, strict=True):
                episode.reward_parts[part.name] = (
                    None if value is None else finite_reward(value, f"reward.{part.name}.function", episode.problem.id)
                )


def verify_episodes(part: RewardPart, episodes: Sequence[Episode]) -> None:
    """Fill in the verdicts of `part` that are missing. An episode whose partner failed has nothing to judge.

    Raises TrainingError for another number of verdicts than responses, and where worker processes cannot be started.
    """
    assert part.verifier is not None
    for episode in episodes:
        if episode.failure is not None and episode.critique is None:
            episode.verdicts.setdefault(part.name, _not_played(episode.failure))
    unjudged = [episode for episode in episodes if part.name not in episode.verdicts]
    if not unjudged:
        return
    try:
        verdicts = part.verifier.verify(
            [episode.text for episode in unjudged], [episode.problem.reference for episode in unjudged]
        )
    except PoolError as error:
        raise TrainingError(f"reward.{part.name}: {error}") from error
    if len(verdicts) != len(unjudged):
        raise TrainingError(
            f"reward.{part.name}: the verifier returned {len(verdicts)} verdicts for {len(unjudged)} responses;"
            " return one for each"
        )
    for episode, verdict in zip(unjudged, verdicts, strict=True):
        episode.verdicts[part.name] = verdict


def _not_played(failure: str) -> Verdict:
    return Verdict(None, None, Status.ERROR, None, "environment", failure, 0.0)


def _one_for_each(returned: Any, part: str, count: int) -> list[Any]:
    """What the user's function returned, as a list. A dict would give its keys, a string its letters.

    Raises TrainingError, and whatever a foreign `__iter__` or `__len__` raises.
    """
    dimensions = getattr(returned, "ndim", None)  # of numpy, torch, pandas
    if dimensions == 1 or (dimensions is None and isinstance(returned, Sequence) and not isinstance(returned, TEXTS)):
        values = list(returned)
        if len(values) == count:
            return values
        what = f"{len(values)} values"
    elif dimensions is not None:
        what = f"an array of shape {tuple(returned.shape)}"
    else:
        what = "None" if returned is None else f"a value of type {type(returned).__name__}"
    raise TrainingError(
        f"reward.{part}.function: returned {what} for {count} responses; return a list with one number or None for each"
    )


def finite_reward(value: Any, key: str, problem: str) -> float:
    """Checks a value of the user's function. NaN would silently spoil the baseline of its whole group.

    Raises TrainingError, which begins with `key`, for a text, and for what is not finite in float32.
    """
    try:
        number = math.nan if isinstance(value, TEXTS) or _is_complex(value) else float(value)
    except Exception:  # __float__ of a foreign type may raise anything; torch raises RuntimeError
        number = math.nan
    if not math.isfinite(number) or abs(number) > LARGEST:
        raise TrainingError(
            f"{key}: returned {shown(value)} for problem {problem}; return a finite number, or None (not judged)"
        )
    return number


def _is_complex(value: Any) -> bool:
    """`float` of a complex number of numpy or torch is its real part."""
    return "complex" in str(getattr(value, "dtype", "")) or isinstance(value, complex)


def apply_timeout_policy(verdict: Verdict, on_timeout: str) -> Verdict:
    """The verdict under the recipe's rules: with `on_timeout: wrong` a time-out is a wrong answer, in rewards, rates
    and accuracy.
    """
    if verdict.status is Status.TIMEOUT and on_timeout == "wrong":
        return dataclasses.replace(verdict, correct=False, score=0.0)
    return verdict
