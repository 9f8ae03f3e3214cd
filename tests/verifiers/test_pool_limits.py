"""A machine that has no room for one more process, file or thread: one message with what to do."""

from __future__ import annotations

import errno
import os
import re
import resource
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from reasonrl.commands.judging import Item, judge
from reasonrl.environments.base import Episode, Trajectory
from reasonrl.errors import ReasonRLError, TrainingError
from reasonrl.rewards.base import RewardPart
from reasonrl.rewards.scoring import score_episodes
from verifiers.errors import PoolError
from verifiers.pool import manager
from verifiers.pool.pool import WorkerPool
from verifiers.types import Problem, Status, Verdict

ASK = "tests.verifiers.pool_targets:ask"


@contextmanager
def few_files(more: int) -> Iterator[int]:
    """This process may open at most `more` files. Gives the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + more, hard))
    try:
        yield lowest + more
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("more", [0, 1, 2, 3, 4, 5])
def test_too_many_open_files_are_one_message_and_the_pool_stays_usable(more: int) -> None:
    with WorkerPool(ASK, workers=1) as pool:
        with few_files(more) as limit, pytest.raises(PoolError) as caught:
            pool.map([("echo", 1)])
        assert str(caught.value) == (
            f"a worker process cannot be started: too many files are open for the limit of {limit}. Raise it"
            " (ulimit -n 4096), or use fewer workers"
        )
        assert pool.map([("echo", 1)])[0].value == 1


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EAGAIN, "this user may start no more processes"),
        (errno.ENOMEM, "the memory is full. Close some programs"),
        (errno.ENFILE, "too many files are open on this machine"),
        (errno.EIO, "[Errno 5] Input/output error"),
    ],
)
def test_what_the_system_lacks_for_a_worker_is_named(monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    def fails(config: dict[str, Any]) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(manager, "WorkerProcess", fails)
    with (
        WorkerPool(ASK) as pool,
        pytest.raises(PoolError, match=f"^a worker process cannot be started: {re.escape(words)}"),
    ):
        pool.map([("echo", 1)])


def test_the_workers_that_could_be_started_do_all_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    start = manager.WorkerProcess
    started: list[Any] = []

    def one_only(config: dict[str, Any]) -> Any:
        if started:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        started.append(start(config))
        return started[0]

    monkeypatch.setattr(manager, "WorkerProcess", one_only)
    with WorkerPool(ASK, workers=4) as pool:
        assert [outcome.value for outcome in pool.map([("echo", i) for i in range(6)])] == list(range(6))
        assert len(pool.pids) == 1


def test_no_thread_for_the_pool_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fails)
    with WorkerPool(ASK) as pool, pytest.raises(PoolError, match="this user may start no more processes"):
        pool.map([("echo", 1)])


class NoWorkers:
    """A built-in verifier whose workers do not start."""

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        raise PoolError("a worker process cannot be started: x")

    def gold_response(self, reference: dict[str, Any]) -> str:
        return "a"


def test_a_run_and_a_command_name_what_needs_the_workers_and_end_with_1() -> None:
    trajectory = Trajectory("policy", [1], [2], [True], [0.0], "x", "stop")
    episode = Episode(Problem("p", "q", "math", {}), 0, 0, [trajectory])
    with pytest.raises(TrainingError, match=r"^reward\.form: a worker process cannot be started: x$"):
        score_episodes([episode], [RewardPart("form", 1.0, NoWorkers())])
    with pytest.raises(
        ReasonRLError, match=r"^the verifier NoWorkers: a worker process cannot be started: x$"
    ) as caught:
        judge(NoWorkers(), [Item("a.jsonl:1", "x", False, reference={})])
    assert caught.value.exit_code == 1


def test_a_worker_that_the_system_kills_is_an_error_and_not_a_wrong_answer() -> None:
    with WorkerPool(ASK, workers=1) as pool:
        outcome = pool.map([("kill",)])[0]
    verdict = outcome.verdict(lambda value: pytest.fail("nothing was judged"), method="m", task="judge")
    assert (verdict.correct, verdict.score, verdict.status) == (None, None, Status.ERROR)
    assert verdict.reason == "judge: killed by SIGKILL, which the system sends where its memory runs out"


def test_what_keeps_a_worker_from_starting_is_one_line() -> None:
    refusing = "tests.verifiers.pool_targets:refuse_to_start"
    with WorkerPool(ASK, initializer=refusing) as pool, pytest.raises(PoolError) as caught:
        pool.map([("echo", 1)])
    message = str(caught.value)
    assert "Traceback" not in message
    assert "\n" not in message
    assert "does not like it here (" in message
    assert "pool_targets.py, line " in message
