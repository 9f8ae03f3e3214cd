"""An environment of the user's own: what it raises or returns is one message, and what it changes is its own copy."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import math
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reasonrl.engines.base import RoleEngines
from reasonrl.environments.base import Environment, Episode, Trajectory
from reasonrl.environments.roles import ServedFailure
from reasonrl.errors import ReasonRLError, TrainingError
from reasonrl.slow_calls import named_when_slow
from reasonrl.user_code import describe_error, detached_problem, kind_of, prints_to_stderr, shown, user_place
from verifiers.types import Problem, Status, Verdict

KEY = "rollout.environment"
_PACKAGE = Path(__file__).resolve().parents[1]
_ENGINES = tuple(str(_PACKAGE / name) for name in ("engines", "verl_backend"))


class PartnerFailed(TrainingError, OSError):
    """A server, a tool or a file that an environment uses did not answer. It stops a local run; on verl it masks one
    rollout, as an OSError does.
    """


class GuardedEnvironment:
    """Plays the episodes of a user's environment and checks what they return.

    The environment gets a copy of each problem. An episode that it returns with this copy is judged by the problem
    itself, so that a reference which was changed on the way does not become the gold answer.
    """

    def __init__(self, environment: Environment, name: str) -> None:
        self._environment, self._name = environment, name

    async def episode(self, problem: Problem, rollout: int, seed: int, engine: RoleEngines) -> Episode:
        """Raises TrainingError where the environment raises or does not return an episode, and what an engine raises
        that is not about the arguments of the call.
        """
        given = detached_problem(problem)
        try:
            with prints_to_stderr(), named_when_slow(f"{KEY}: {self._name}", is_episode=True) as call:
                call.awaited = self._environment.episode(given, rollout, seed, engine)
                episode = await call.awaited
        except (KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, ReasonRLError):
            raise
        except BaseException as error:  # foreign code may raise anything
            if _is_a_full_disk(error) or _is_a_dead_worker(error) or _is_an_engine_fault(error):
                raise
            error_class = PartnerFailed if isinstance(error, OSError | ServedFailure) else TrainingError
            raise error_class(f"{KEY}: {self._name}: problem {problem.id}: {describe_error(error)}") from error
        subject = f"{KEY}: {self._name}.episode: problem {problem.id}"
        checked = checked_episode(episode, subject)
        if checked.problem is given:
            checked.problem = problem
        return checked


def checked_episode(episode: Any, subject: str) -> Episode:
    """The episode, if it can be judged and trained on. Raises TrainingError; the message begins with `subject`."""
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
    episode.verdicts = {name: sound_verdict(verdict, subject) for name, verdict in episode.verdicts.items()}
    return episode


def _check_trajectory(trajectory: Any, subject: str) -> None:
    if not isinstance(trajectory, Trajectory):
        raise TrainingError(f"{subject}: Episode.trajectories holds {kind_of(trajectory)}; each must be a Trajectory")
    for name in ("prompt_ids", "response_ids"):
        ids: Sequence[Any] = getattr(trajectory, name)
        if not isinstance(ids, list):
            raise TrainingError(f"{subject}: Trajectory.{name} is {kind_of(ids)}; write a list of token ids (int)")
        for token in ids:
            if type(token) is not int:
                raise TrainingError(
                    f"{subject}: Trajectory.{name} holds {shown(token)}; write a list of token ids (int)"
                )
    for value in trajectory.logprobs:
        if not _is_finite(value):
            raise TrainingError(
                f"{subject}: Trajectory.logprobs holds {shown(value)}; write one finite number for each token"
            )
    if not isinstance(trajectory.text, str):
        raise TrainingError(f"{subject}: Trajectory.text is {kind_of(trajectory.text)}; write the text of the response")
    if trajectory.finish_reason not in ("stop", "length"):
        raise TrainingError(
            f"{subject}: Trajectory.finish_reason is {shown(trajectory.finish_reason)}; write stop or length"
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


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except (TypeError, ValueError, OverflowError):
        return False


def _is_an_engine_fault(error: BaseException) -> bool:
    """Whether an engine raised this, and not because of its arguments: then it is not the environment's failure."""
    if isinstance(error, TypeError | ValueError | LookupError | AttributeError):
        return False
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    engine = max((i for i, file in enumerate(files) if file.startswith(_ENGINES)), default=-1)
    place = user_place(error).rpartition(", line ")[0]
    user = max((i for i, file in enumerate(files) if place and file.endswith(place)), default=-1)
    return engine > user


def _is_a_full_disk(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _is_a_dead_worker(error: BaseException) -> bool:
    """Of ray: verl's loop describes it."""
    ray = sys.modules.get("ray.exceptions")
    return ray is not None and isinstance(error, ray.RayError)
