"""The worker pool: every way in which an item can go wrong, and what the others must not notice of it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from verifiers.errors import PoolError
from verifiers.pool.pool import WorkerPool

ROOT = Path(__file__).parents[2]
ASK = "tests.verifiers.pool_targets:ask"
PREFIX = "tests.verifiers.pool_targets:"


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(ASK, workers=2, timeout_s=0.5, memory_limit_mb=1024) as shared:
        yield shared


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition, timeout_s: float = 3.0) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def test_outcomes_come_in_the_order_of_the_items(pool: WorkerPool) -> None:
    items = [("sleep", 0.02 if n % 7 == 0 else 0.0) if n % 2 else ("echo", n) for n in range(60)]
    outcomes = pool.map(items)
    assert [outcome.status for outcome in outcomes] == ["ok"] * 60
    assert [outcome.value for outcome in outcomes] == [None if n % 2 else n for n in range(60)]
    assert pool.map([]) == []


@pytest.mark.parametrize("item", [("loop",), ("power",), ("regex",), ("sleep", 30)], ids=lambda item: item[0])
def test_what_does_not_end_is_killed_at_the_deadline_and_the_rest_goes_on(pool: WorkerPool, item: tuple) -> None:
    pool.map([("echo", 0)])
    started = time.monotonic()
    before, bad, after = pool.map([("echo", 1), item, ("echo", 2)])
    assert (before.status, bad.status, after.status) == ("ok", "timeout", "ok")
    assert (before.value, bad.value, after.value) == (1, None, 2)
    assert 0.5 <= bad.seconds < 1.0
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize(
    ("item", "cause"),
    [
        (("exit", 0), "exit code 0"),
        (("exit", 3), "exit code 3"),
        (("segfault",), "SIGSEGV"),
        (("kill",), "SIGKILL"),
        (("forge",), "the worker sent"),
    ],
    ids=lambda value: str(value),
)
def test_a_worker_that_dies_costs_its_own_item_only(pool: WorkerPool, item: tuple, cause: str) -> None:
    items = [("echo", n) for n in range(10)]
    items[4] = item
    outcomes = pool.map(items)
    assert [outcome.status for outcome in outcomes] == ["ok"] * 4 + ["crashed"] + ["ok"] * 5
    assert [outcome.value for outcome in outcomes] == [0, 1, 2, 3, None, 5, 6, 7, 8, 9]
    assert cause in outcomes[4].error


@pytest.mark.parametrize(
    ("item", "error"),
    [
        (("fail", "no such luck"), "ValueError: no such luck"),
        (("system_exit",), "SystemExit"),
        (("bomb", False), "MemoryError"),
        (("not_json",), "TypeError"),
        (("huge", 5 << 20), "bytes"),
    ],
    ids=lambda value: str(value),
)
def test_an_exception_is_an_error_with_its_message(pool: WorkerPool, item: tuple, error: str) -> None:
    bad, good = pool.map([item, ("echo", 1)])
    assert bad.status == "error" and error in bad.error
    assert good.value == 1


def test_memory_is_limited_even_if_the_code_survives_it(pool: WorkerPool) -> None:
    assert pool.map([("bomb", True)])[0].value == "caught"


def test_a_worker_that_has_grown_is_replaced_before_the_next_item() -> None:
    with WorkerPool(ASK, workers=1, memory_limit_mb=256) as one:
        first, second = one.map([("grow", 150), ("grow", 150)])
        assert first.status == second.status == "ok"
        assert first.value != second.value


def test_a_worker_is_recycled_after_its_items() -> None:
    with WorkerPool(ASK, workers=1, recycle_after_items=3) as one:
        pids = [outcome.value for outcome in one.map([("pid",)] * 7)]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_noise_on_the_streams_does_not_reach_the_protocol(pool: WorkerPool, stream: str) -> None:
    assert [outcome.value for outcome in pool.map([("flood", stream), ("echo", 5)])] == ["done", 5]


def test_large_items_and_answers_go_through(pool: WorkerPool) -> None:
    text = "x" * (3 << 20)
    assert pool.map([("echo", text)], timeout_s=5.0)[0].value == text


def test_the_deadline_does_not_count_the_start_up() -> None:
    with WorkerPool(ASK, workers=1, timeout_s=0.3, initializer=PREFIX + "sleep_at_start", initargs=(0.8,)) as slow:
        outcome = slow.map([("echo", 1)])[0]
    assert (outcome.status, outcome.value) == ("ok", 1)
    assert outcome.seconds < 0.3


def test_the_initializer_runs_once_in_each_worker() -> None:
    with WorkerPool(ASK, workers=1, initializer=PREFIX + "initialise", initargs=("here",)) as one:
        assert one.map([("state", "initialised")])[0].value == "here"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "no_such_module_at_all:f"}, "No module named 'no_such_module_at_all'"),
        ({"target": "json:no_such_function"}, "no_such_function"),
        ({"initializer": PREFIX + "refuse_to_start"}, "the initializer does not like it here"),
        ({"initializer": PREFIX + "die_at_start"}, "exit code 7"),
        (
            {"initializer": PREFIX + "sleep_at_start", "initargs": (9.0,), "start_timeout_s": 0.3},
            "did not start within 0.3 s",
        ),
    ],
)
def test_a_worker_that_cannot_start_says_why(options: dict, message: str) -> None:
    with WorkerPool(**{"target": ASK, **options}) as broken:
        for _ in range(2):  # the pool stays usable, and says it again
            with pytest.raises(PoolError, match=message):
                broken.map([("echo", 1)] * 3)


@pytest.mark.parametrize(
    "options",
    [
        {"target": "json"},
        *({"timeout_s": seconds} for seconds in (0, -1, 1e-9, "5", "1e-9", True, None, [1], 1e300, math.inf, math.nan)),
        *({"workers": count} for count in (0, -1, 1.5, 2.0, "2", True, None, 10**12)),
        *({"memory_limit_mb": size} for size in (0, -1, "1", False, math.inf)),
        {"start_timeout_s": "1"},
        {"recycle_after_items": 0.5},
        {"max_answer_bytes": -1},
    ],
    ids=str,
)
def test_arguments_that_make_no_sense(options: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        WorkerPool(**{"target": ASK, **options})


def test_start_up_is_paid_once_and_the_workers_stay(pool: WorkerPool) -> None:
    pool.map([("sleep", 0.05)] * 4)
    assert eventually(lambda: len(pool.pids) == 2)
    before = sorted(pool.pids)
    pool.map([("echo", 1)] * 50)
    assert sorted(pool.pids) == before


def test_a_worker_that_is_killed_from_outside_while_idle_loses_nothing(pool: WorkerPool) -> None:
    for _ in range(5):
        pool.map([("echo", 1)])
        for pid in pool.pids:
            with contextlib.suppress(ProcessLookupError):  # it may be starting again
                os.kill(pid, signal.SIGKILL)
        assert [outcome.value for outcome in pool.map([("echo", n) for n in range(6)])] == list(range(6))


def test_many_threads_share_a_pool(pool: WorkerPool) -> None:
    results: dict[int, list] = {}

    def work(name: int) -> None:
        items: list = [("echo", [name, n]) for n in range(40)]
        items[7] = ("exit", 1) if name % 2 else ("fail", "x")
        results[name] = pool.map(items)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in range(8):
        assert [outcome.value for outcome in results[name]] == [None if n == 7 else [name, n] for n in range(40)]
        assert results[name][7].status == ("crashed" if name % 2 else "error")


def test_workers_outlive_the_thread_that_asked_first() -> None:
    with WorkerPool(ASK, workers=1) as one:
        thread = threading.Thread(target=lambda: one.map([("echo", 1)]))
        thread.start()
        thread.join()
        pid = one.pids[0]
        time.sleep(0.1)
        assert one.map([("pid",)])[0].value == pid


def test_it_works_from_asyncio(pool: WorkerPool) -> None:
    async def both() -> list:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(None, pool.map, [("echo", n)]) for n in range(6)))

    assert [outcomes[0].value for outcomes in asyncio.run(both())] == list(range(6))


def test_a_forked_child_has_workers_of_its_own(pool: WorkerPool) -> None:
    pool.map([("sleep", 0.02)] * 4)
    before = set(pool.pids)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        mine = {outcome.value for outcome in pool.map([("pid",)] * 4)}
        os.write(write, b"ok" if mine and not mine & before else b"shared")
        pool.close()
        os._exit(0)
    assert os.read(read, 10) == b"ok"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(read)
    os.close(write)
    assert set(pool.pids) == before  # the child's end did them no harm
    assert [outcome.value for outcome in pool.map([("echo", 1)] * 3)] == [1, 1, 1]


def test_the_whole_process_group_is_killed() -> None:
    with WorkerPool(ASK, workers=1, timeout_s=0.5) as one:
        one.map([("echo", 1)])
        group = one.pids[0]
        assert one.map([("orphan",)])[0].status == "timeout"
    assert eventually(lambda: not _group_members(group)), _group_members(group)


def _group_members(group: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, _, process_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                if int(process_group) == group and state != "Z":
                    found.append(int(entry.name))
    return found


def test_close_ends_the_workers_and_those_who_wait() -> None:
    closing = WorkerPool(ASK, workers=2, timeout_s=30.0)
    closing.map([("echo", 1)])
    pids = closing.pids
    errors = []

    def wait() -> None:
        try:
            closing.map([("sleep", 20)] * 3)
        except PoolError as error:
            errors.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.2)
    closing.close()
    closing.close()
    thread.join(2.0)
    assert not thread.is_alive() and "closed" in errors[0]
    assert not any(alive(pid) for pid in pids)
    with pytest.raises(PoolError, match="closed"):
        closing.map([("echo", 1)])


def test_a_pool_that_is_dropped_takes_its_workers_along() -> None:
    dropped = WorkerPool(ASK, workers=1)
    pid = dropped.map([("pid",)])[0].value
    del dropped
    assert eventually(lambda: not alive(pid))


def test_a_pool_can_be_pickled() -> None:
    with WorkerPool(ASK, workers=1, timeout_s=1.5, initializer=PREFIX + "initialise", initargs=("sent",)) as original:
        original.map([("echo", 1)])
        with pickle.loads(pickle.dumps(original)) as copy:
            assert copy.timeout_s == 1.5
            assert copy.map([("state", "initialised")])[0].value == "sent"


SCRIPT = """
    import sys, time
    from verifiers.pool.pool import WorkerPool
    print("main ran", file=sys.stderr)
    pool = WorkerPool("tests.verifiers.pool_targets:ask", workers=2, timeout_s=60.0)
    pool.map([("sleep", 0.05)] * 4)
    print(*pool.pids, flush=True)
    if sys.argv[1] != "end":
        pool.map([(sys.argv[1], 60) if sys.argv[1] == "sleep" else (sys.argv[1],)] * 2)
"""


def _start_script(tmp_path: Path, how: str) -> subprocess.Popen:
    # with no guard for __main__: a worker that ran it would print, and start a pool itself
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, str(script), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tmp_path,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="a busy worker is told of its parent's death by the Linux kernel")
@pytest.mark.parametrize("how", ["sleep", "loop", "power"])
def test_no_worker_survives_a_parent_that_is_killed(tmp_path: Path, how: str) -> None:
    script = _start_script(tmp_path, how)
    assert script.stdout is not None and script.stderr is not None
    pids = [int(pid) for pid in script.stdout.readline().split()]
    assert len(pids) == 2 and all(alive(pid) for pid in pids)
    time.sleep(0.1)
    script.kill()
    script.wait()
    assert eventually(lambda: not any(alive(pid) for pid in pids))
    script.stdout.close()
    script.stderr.close()


def test_the_program_ends_cleanly_and_main_runs_once(tmp_path: Path) -> None:
    script = _start_script(tmp_path, "end")
    out, err = script.communicate(timeout=20)
    assert script.returncode == 0
    assert err == "main ran\n"
    assert not any(alive(int(pid)) for pid in out.split())


def test_no_descriptor_is_left_open() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc")
    before = descriptors()
    with WorkerPool(ASK, workers=2, timeout_s=0.2) as one:
        one.map([("exit", 1), ("segfault",), ("loop",), ("echo", 1)])
    assert descriptors() == before


def test_the_overhead_of_an_item_is_small(pool: WorkerPool) -> None:
    pool.map([("echo", 1)] * 100)
    best = min(_seconds_per_item(pool) for _ in range(3))
    assert best < 1e-3  # 0.07 ms on an idle machine; a loaded one must not fail the suite


def _seconds_per_item(pool: WorkerPool) -> float:
    started = time.perf_counter()
    pool.map([("echo", 1)] * 300)
    return (time.perf_counter() - started) / 300
