"""What an environment of the user's own returns: an episode that can be judged and trained on, or one message."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from reasonrl.environments.base import Episode, Trajectory, Turn
from reasonrl.errors import TrainingError
from reasonrl.user_code.guards import describe_error, kind_of, shown
from verifiers.types import Problem, Status, Verdict

_LARGEST_ID = 2**31
_ROUNDING = 1e-3
"""A log-prob may be above 0 by this much."""


def checked_episode(episode: Any, subject: str, vocabulary: int | None = None) -> Episode:
    """The episode, if it can be judged and trained on. Raises TrainingError; the message begins with `subject`.

    Args:
        vocabulary: ids from here on are refused where the environment wrote them. A policy may draw from rows of its
            head that no token uses.
    """
    if not isinstance(episode, Episode):
        raise TrainingError(
            f"{subject}: returned {kind_of(episode)}; return a reasonrl.environments.base.Episode with at least one"
            " trajectory"
        )
    if not isinstance(episode.problem, Problem):
        raise TrainingError(f"{subject}: Episode.problem is {kind_of(episode.problem)}; pass the problem on")
    trajectories = episode.trajectories
    if not isinstance(trajectories, list) or not trajectories:
        what = "an empty list" if trajectories == [] else kind_of(trajectories)
        raise TrainingError(f"{subject}: Episode.trajectories is {what}; write a list of at least one Trajectory")
    for trajectory in trajectories:
        _check_trajectory(trajectory, subject)
    if vocabulary is not None:
        _check_vocabulary(trajectories, subject, vocabulary)
    if not isinstance(episode.trained_index, int) or not -len(trajectories) <= episode.trained_index < len(
        trajectories
    ):
        raise TrainingError(
            f"{subject}: Episode.trained_index is {shown(episode.trained_index)}, but it has {len(trajectories)}"
            f" trajector{'y' if len(trajectories) == 1 else 'ies'}"
        )
    trained = episode.trained_trajectory
    if not trained.prompt_ids:
        raise TrainingError(f"{subject}: the trained trajectory has no prompt_ids; give it the tokens of the prompt")
    if not isinstance(episode.verdicts, dict):
        raise TrainingError(
            f"{subject}: Episode.verdicts is {kind_of(episode.verdicts)}; write a dict from reward part to Verdict"
        )
    if not isinstance(episode.reward_parts, dict):
        raise TrainingError(f"{subject}: Episode.reward_parts is {kind_of(episode.reward_parts)}; write a dict")
    for name in ("failure", "refinement_failure", "guiding_critique"):
        if not isinstance(value := getattr(episode, name), str | None):
            raise TrainingError(f"{subject}: Episode.{name} is {kind_of(value)}; write a text, or None")
    episode.verdicts = {name: sound_verdict(verdict, subject) for name, verdict in episode.verdicts.items()}
    return episode


def _check_trajectory(trajectory: Any, subject: str) -> None:
    if not isinstance(trajectory, Trajectory):
        raise TrainingError(f"{subject}: Episode.trajectories holds {kind_of(trajectory)}; each must be a Trajectory")
    for name in ("prompt_ids", "response_ids"):
        ids: Any = getattr(trajectory, name)
        if not isinstance(ids, list):
            raise TrainingError(f"{subject}: Trajectory.{name} is {kind_of(ids)}; write a list of token ids (int)")
        for token in ids:
            if type(token) is not int or not 0 <= token < _LARGEST_ID:
                raise TrainingError(
                    f"{subject}: Trajectory.{name} holds {shown(token)}; write a list of token ids (int, from 0)"
                )
    for name in ("loss_mask", "logprobs"):
        if not isinstance(values := getattr(trajectory, name), list | tuple):
            raise TrainingError(
                f"{subject}: Trajectory.{name} is {kind_of(values)}; write a list with one entry for each token"
            )
    for mask in trajectory.loss_mask:
        if not _is_mask(mask):
            raise TrainingError(
                f"{subject}: Trajectory.loss_mask holds {shown(mask)}; write True for tokens of the policy, else False"
            )
    for value in trajectory.logprobs:
        if not _is_logprob(value):
            raise TrainingError(
                f"{subject}: Trajectory.logprobs holds {shown(value)}; write one finite number, 0 or below, for each"
                " token"
            )
    for name in ("role", "text"):
        if not isinstance(value := getattr(trajectory, name), str):
            wanted = "the text of the response" if name == "text" else "a text, such as policy"
            raise TrainingError(f"{subject}: Trajectory.{name} is {kind_of(value)}; write {wanted}")
    if not isinstance(trajectory.finish_reason, str) or trajectory.finish_reason not in ("stop", "length"):
        raise TrainingError(
            f"{subject}: Trajectory.finish_reason is {shown(trajectory.finish_reason)}; write stop or length"
        )
    _check_turns(trajectory, subject)


def _check_turns(trajectory: Trajectory, subject: str) -> None:
    if not isinstance(trajectory.turns, list | tuple):
        raise TrainingError(
            f"{subject}: Trajectory.turns is {kind_of(trajectory.turns)}; write a tuple of Turn, or leave it out"
        )
    count = len(trajectory.response_ids)
    for turn in trajectory.turns:
        if not isinstance(turn, Turn):
            raise TrainingError(f"{subject}: Trajectory.turns holds {shown(turn)}; each must be a Turn")
        if type(turn.start) is not int or type(turn.stop) is not int or not 0 <= turn.start <= turn.stop <= count:
            raise TrainingError(
                f"{subject}: a Turn goes from {shown(turn.start)} to {shown(turn.stop)}, but the response has {count}"
                " tokens"
            )
        if not isinstance(turn.role, str) or not isinstance(turn.text, str) or not isinstance(turn.by_policy, bool):
            raise TrainingError(
                f"{subject}: {shown(turn)} needs texts as role and text, and True or False as by_policy"
            )


def _check_vocabulary(trajectories: list[Trajectory], subject: str, vocabulary: int) -> None:
    drawn = {token for t in trajectories for token, mask in zip(t.response_ids, t.loss_mask, strict=True) if mask}
    for trajectory in trajectories:
        for name in ("prompt_ids", "response_ids"):
            unknown = (token for token in getattr(trajectory, name) if token >= vocabulary and token not in drawn)
            if (token := next(unknown, None)) is not None:
                raise TrainingError(
                    f"{subject}: Trajectory.{name} holds {token}, but the tokenizer has {vocabulary} tokens; write"
                    " ids of its tokens"
                )


def sound_verdict(verdict: Any, subject: str) -> Verdict:
    """The verdict with plain values: numpy's True is True, and a score is a float.

    Raises TrainingError for what is not a verdict, or has a `correct` that is neither true nor false.
    """
    if not isinstance(verdict, Verdict):
        raise TrainingError(
            f"{subject}: returned {kind_of(verdict)} for a response; return a Verdict for each (verifiers.types)"
        )
    if _has_plain_values(verdict):
        return verdict
    try:
        correct = verdict.correct if verdict.correct is None else bool(verdict.correct)
        if correct is not None and correct != verdict.correct:
            raise ValueError(f"correct is {shown(verdict.correct)}; write True, False or None")
        return dataclasses.replace(
            verdict,
            correct=correct,
            score=None if verdict.score is None else float(verdict.score),
            status=Status(verdict.status),
            extracted=None if verdict.extracted is None else str(verdict.extracted),
            method=str(verdict.method),
            reason="" if verdict.reason is None else str(verdict.reason),
            seconds=float(verdict.seconds),
        )
    except Exception as error:  # the values are foreign: their __bool__, __float__ and __str__ may raise anything
        raise TrainingError(f"{subject}: returned a Verdict that cannot be used: {describe_error(error)}") from error


def _has_plain_values(verdict: Verdict) -> bool:
    return (
        type(verdict.correct) is bool
        and type(verdict.score) is float
        and isinstance(verdict.status, Status)
        and isinstance(verdict.reason, str)
        and isinstance(verdict.extracted, str | None)
    )


def _is_mask(value: Any) -> bool:
    try:
        return bool(value == 0 or value == 1) and not isinstance(value, str | bytes)
    except Exception:  # a foreign __eq__ or __bool__
        return False


def _is_logprob(value: Any) -> bool:
    try:
        return math.isfinite(value) and value <= _ROUNDING
    except Exception:  # a foreign __float__
        return False
