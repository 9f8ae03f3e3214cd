"""An environment of the user's own: what it raises or returns is one message, and what it changes is its own copy."""

from __future__ import annotations

import asyncio
import errno
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reasonrl.engines.base import Generation, Sampling
from reasonrl.engines.batching import run_episodes
from reasonrl.engines.served import ServedFailure
from reasonrl.environments.base import Episode, Trajectory
from reasonrl.environments.guarded import GuardedEnvironment, PartnerFailed
from reasonrl.environments.loading import environment_factory
from reasonrl.errors import ModelError, RecipeError, TrainingError
from verifiers.types import Problem

SAMPLING = Sampling(4, 1.0)
TRAJECTORY = Trajectory("policy", [1], [2], [True], [0.0], "x", "stop")
PROBLEM = Problem("p", "1 + 2 =", "math", {"answer": "3", "steps": ["a", "b"]})

Play = Callable[[Problem], Any]


class Played:
    """An environment around a plain function."""

    def __init__(self, play: Play) -> None:
        self._play = play

    async def episode(self, problem: Problem, rollout: int, seed: int, engine: Any) -> Any:
        return self._play(problem)


def guarded(play: Play, problem: Problem = PROBLEM) -> Episode:
    environment = GuardedEnvironment(Played(play), "my_env:Mine")
    return asyncio.run(environment.episode(problem, 0, 1, None))  # type: ignore[arg-type]


def raises(error: BaseException) -> Play:
    def play(problem: Problem) -> Any:
        raise error

    return play


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("answer"), "KeyError: 'answer'"),
        (SystemExit(0), r"sys\.exit\(0\) was called"),
        (TimeoutError("slow"), "TimeoutError: slow"),
        (ConnectionRefusedError(111, "no"), r"ConnectionRefusedError: \[Errno 111\] no"),
        (ServedFailure("no text"), "ServedFailure: no text"),
        (type("Odd", (BaseException,), {})("odd"), "Odd: odd"),
        (asyncio.CancelledError(), "CancelledError"),
        (GeneratorExit(), "GeneratorExit"),
    ],
)
def test_what_an_environment_raises_names_the_problem_and_the_line(error: BaseException, words: str) -> None:
    message = rf"^rollout\.environment: my_env:Mine: problem p: {words} \(.*test_guarded\.py, line \d+\)$"
    with pytest.raises(TrainingError, match=message) as caught:
        guarded(raises(error))
    assert isinstance(caught.value, PartnerFailed) is isinstance(error, OSError | ServedFailure)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ModelError("no server"), OSError(errno.ENOSPC, "full")])
def test_interrupts_our_own_errors_and_a_full_disk_pass_through(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        guarded(raises(error))
    assert not isinstance(caught.value, TrainingError)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, "returned None; return a reasonrl.environments.base.Episode"),
        ([TRAJECTORY], "returned a value of type list; return"),
        (Episode(PROBLEM, 0, 0, []), "Episode.trajectories is an empty list"),
        (Episode(PROBLEM, 0, 0, None), "Episode.trajectories is None"),  # type: ignore[arg-type]
        (Episode(PROBLEM, 0, 0, ["x"]), "holds a value of type str; each must be"),  # type: ignore[list-item]
        (Episode(None, 0, 0, [TRAJECTORY]), "Episode.problem is None"),  # type: ignore[arg-type]
        (Episode(PROBLEM, 0, 0, [TRAJECTORY], trained_index=1), "trained_index is 1, but it has 1 trajectory"),
        (Episode(PROBLEM, 0, 0, [Trajectory("p", [], [2], [True], [0.0], "x", "stop")]), "no prompt_ids"),
        (
            Episode(PROBLEM, 0, 0, [Trajectory("p", ["a"], [2], [True], [0.0], "x", "stop")]),  # type: ignore[list-item]
            "prompt_ids holds 'a'; write a list of token ids",
        ),  # type: ignore[list-item]
        (
            Episode(PROBLEM, 0, 0, [Trajectory("p", [1], [2], [True], [float("nan")], "x", "stop")]),
            "logprobs holds nan",
        ),
        (
            Episode(PROBLEM, 0, 0, [Trajectory("p", [1], [2], [True], [None], "x", "stop")]),  # type: ignore[list-item]
            "logprobs holds None; write one finite number",
        ),  # type: ignore[list-item]
        (Episode(PROBLEM, 0, 0, [Trajectory("p", [1], [2], [True], [0.0], None, "stop")]), "text is None"),  # type: ignore[arg-type]
        (Episode(PROBLEM, 0, 0, [Trajectory("p", [1], [2], [True], [0.0], "x", "end")]), "write stop or length"),
        (Episode(PROBLEM, 0, 0, [TRAJECTORY], {"correctness": True}), "a value of type bool for a response"),  # type: ignore[dict-item]
        (Episode(PROBLEM, 0, 0, [TRAJECTORY], []), "Episode.verdicts is a value of type list"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_episode_is_one_message(returned: Any, words: str) -> None:
    with pytest.raises(TrainingError) as caught:
        guarded(lambda problem: returned)
    assert str(caught.value).startswith("rollout.environment: my_env:Mine.episode: problem p: ")
    assert words in str(caught.value)


def test_an_episode_that_is_returned_twice_is_refused() -> None:
    same = Episode(PROBLEM, 0, 0, [TRAJECTORY])
    environment = GuardedEnvironment(Played(lambda problem: same), "my_env:Mine")
    asyncio.run(environment.episode(PROBLEM, 0, 1, None))  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="returned the same Episode object twice; make a new one"):
        asyncio.run(environment.episode(PROBLEM, 1, 2, None))  # type: ignore[arg-type]


def test_an_episode_of_another_problem_is_refused() -> None:
    other = Problem("q", "another question", "math", {"answer": "4"})
    with pytest.raises(TrainingError, match=r"Episode\.problem has the id 'q'; pass the given problem on"):
        guarded(lambda problem: Episode(other, 0, 0, [TRAJECTORY]))


def test_one_episode_that_is_cancelled_by_the_failure_of_another_is_not_blamed() -> None:
    class Waits:
        async def episode(self, problem: Problem, rollout: int, seed: int, engine: Any) -> Episode:
            if rollout:
                raise KeyError("answer")
            await asyncio.sleep(60)
            raise AssertionError

    environment = GuardedEnvironment(Waits(), "my_env:Mine")
    plays = [functools.partial(environment.episode, PROBLEM, i, 1) for i in range(2)]
    with pytest.raises(TrainingError, match="KeyError: 'answer'"):
        run_episodes(plays, BrokenEngine(ValueError()))


def test_episodes_that_overlap_leave_the_current_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()

    class Moves:
        async def episode(self, problem: Problem, rollout: int, seed: int, engine: Any) -> Episode:
            await asyncio.sleep(0.01 * rollout)
            os.chdir(tmp_path / "elsewhere")
            await asyncio.sleep(0.02)
            return Episode(problem, rollout, seed, [TRAJECTORY])

    environment = GuardedEnvironment(Moves(), "my_env:Mine")
    run_episodes([functools.partial(environment.episode, PROBLEM, i, 1) for i in range(3)], BrokenEngine(ValueError()))
    assert Path.cwd() == tmp_path


def test_a_changed_reference_is_not_the_gold_answer() -> None:
    def play(problem: Problem) -> Episode:
        problem.reference["answer"] = "0"
        problem.reference["steps"].clear()
        problem.meta["seen"] = True
        return Episode(problem, 0, 0, [TRAJECTORY])

    episode = guarded(play)
    assert episode.problem is PROBLEM
    assert PROBLEM.reference == {"answer": "3", "steps": ["a", "b"]}
    assert PROBLEM.meta == {}


def test_a_problem_of_the_environments_own_is_judged_by_its_own_reference() -> None:
    other = Problem("p", "another question", "math", {"answer": "4"})
    assert guarded(lambda problem: Episode(other, 0, 0, [TRAJECTORY])).problem is other


def test_what_an_environment_prints_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    def play(problem: Problem) -> Episode:
        print("hello")
        return Episode(problem, 0, 0, [TRAJECTORY])

    guarded(play)
    assert capsys.readouterr() == ("", "hello\n")


class BrokenEngine:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def generate_batch(self, requests: Any) -> list[Generation]:
        raise self._error


class AsksTheEngine:
    async def episode(self, problem: Problem, rollout: int, seed: int, engine: Any) -> Episode:
        await engine.generate([1], SAMPLING, seed)
        raise AssertionError


def play_with(error: Exception) -> None:
    environment = GuardedEnvironment(AsksTheEngine(), "my_env:Mine")
    run_episodes([lambda engine: environment.episode(PROBLEM, 0, 1, engine)], BrokenEngine(error))


def test_a_fault_of_the_engine_is_not_blamed_on_the_environment() -> None:
    error = MemoryError("of the GPU")
    error.__traceback__ = None
    import reasonrl.engines.base as engines

    code = compile("def fails(error):\n    raise error\n", engines.__file__, "exec")
    scope: dict[str, Any] = {}
    exec(code, scope)

    class Engine:
        def generate_batch(self, requests: Any) -> list[Generation]:
            scope["fails"](error)
            raise AssertionError

    environment = GuardedEnvironment(AsksTheEngine(), "my_env:Mine")
    with pytest.raises(MemoryError):
        run_episodes([lambda engine: environment.episode(PROBLEM, 0, 1, engine)], Engine())


def test_wrong_arguments_for_the_engine_are_the_environments() -> None:
    class Wrong:
        async def episode(self, problem: Problem, rollout: int, seed: int, engine: Any) -> Episode:
            await engine.generate(3, SAMPLING, seed)
            raise AssertionError

    environment = GuardedEnvironment(Wrong(), "my_env:Mine")
    with pytest.raises(TrainingError, match=r"problem p: TypeError: 'int' object is not iterable \(.*test_guarded"):
        run_episodes([lambda engine: environment.episode(PROBLEM, 0, 1, engine)], BrokenEngine(ValueError()))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("class Mine:\n    def __init__(self, t, s): 1 / 0\n", r"cannot be constructed: ZeroDivisionError.*line 2\)$"),
        ("class Mine:\n    def __init__(self, t, s): exit(0)\n", r"constructed: sys\.exit\(0\) was called .*line 2\)$"),
        ("class Mine:\n    def __init__(self, t): ...\n", "cannot be called with"),
        ("Mine = 3\n", "is not an environment"),
    ],
)
def test_what_a_constructor_raises_is_a_mistake_in_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    name = f"env_{abs(hash(code))}"
    if "def __init__" in code:
        code += "    async def episode(self, problem, rollout, seed, engine): ...\n"
    (tmp_path / f"{name}.py").write_text(code)
    with pytest.raises(RecipeError, match=rf"^rollout\.environment: .*{words}"):
        environment_factory(f"{name}:Mine", None, {})(SAMPLING)
