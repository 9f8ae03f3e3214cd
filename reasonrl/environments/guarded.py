"""An environment of the user's own: what it raises or returns is one message, and what it changes is its own copy."""

from __future__ import annotations

import asyncio
import errno
import sys
import traceback
import weakref
from pathlib import Path

from reasonrl.engines.base import RoleEngines
from reasonrl.environments.base import Environment, Episode
from reasonrl.environments.episode_checks import checked_episode
from reasonrl.environments.roles import ServedFailure
from reasonrl.errors import ReasonRLError, TrainingError
from reasonrl.user_code.guards import describe_error, detached_problem, prints_to_stderr, shown, user_place
from reasonrl.user_code.process_state import process_as_before
from reasonrl.user_code.slow_calls import named_when_slow
from verifiers.types import Problem

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

    def __init__(self, environment: Environment, name: str, vocabulary: int | None = None) -> None:
        """`vocabulary`: how many tokens the tokenizer has; None where nobody knows."""
        self._environment, self._name, self._vocabulary = environment, name, vocabulary
        self._returned: weakref.WeakValueDictionary[int, Episode] = weakref.WeakValueDictionary()

    async def episode(self, problem: Problem, rollout: int, seed: int, engine: RoleEngines) -> Episode:
        """Raises TrainingError where the environment raises or does not return an episode, and what an engine raises
        that is not about the arguments of the call.
        """
        given = detached_problem(problem)
        try:
            subject = f"{KEY}: {self._name}"
            with prints_to_stderr(), process_as_before(), named_when_slow(subject, is_episode=True) as call:
                call.awaited = self._environment.episode(given, rollout, seed, engine)
                episode = await call.awaited
        except (KeyboardInterrupt, ReasonRLError):
            raise
        except BaseException as error:  # foreign code may raise anything
            if isinstance(error, asyncio.CancelledError | GeneratorExit) and _is_being_ended():
                raise
            if _is_a_full_disk(error) or _is_a_dead_worker(error) or _is_an_engine_fault(error):
                raise
            error_class = PartnerFailed if isinstance(error, OSError | ServedFailure) else TrainingError
            raise error_class(f"{KEY}: {self._name}: problem {problem.id}: {describe_error(error)}") from error
        subject = f"{KEY}: {self._name}.episode: problem {problem.id}"
        checked = checked_episode(episode, subject, self._vocabulary)
        if checked.problem is given:
            checked.problem = problem
        if checked.problem.id != problem.id:
            raise TrainingError(
                f"{subject}: Episode.problem has the id {shown(checked.problem.id)}; pass the given problem on, or give"
                " another one its id"
            )
        if self._returned.get(id(checked)) is checked:
            raise TrainingError(f"{subject}: returned the same Episode object twice; make a new one for each call")
        self._returned[id(checked)] = checked
        return checked


def _is_being_ended() -> bool:
    """Whether the loop ends this episode, since another one failed, and not the environment itself."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs: the coroutine is thrown away
        return True
    return task is None or task.cancelling() > 0


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
