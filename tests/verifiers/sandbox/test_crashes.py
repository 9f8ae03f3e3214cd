"""What breaks around the programs: the sandbox's own processes, the caller, the machine's limits."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import IO

import pytest

from tests.verifiers.sandbox.arena import descendants
from tests.verifiers.sandbox.conftest import need
from verifiers.sandbox import Call, Ending, Limits, Outcome, SandboxUnavailable, Stdin, open_sandbox
from verifiers.sandbox.local import LocalSandbox

pytestmark = pytest.mark.sandbox

HELLO = "print('hello')"
BUSY = "import time\nprint('begun', flush=True)\ntime.sleep(60)"


@pytest.fixture
def own() -> Iterator[LocalSandbox]:
    need("bubblewrap")
    opened = open_sandbox("bubblewrap", workers=2)
    yield opened
    opened.close()


def hello(sandbox: LocalSandbox) -> bytes:
    (outcome,) = sandbox.run(HELLO, [Stdin()])
    assert outcome.ending is Ending.FINISHED, outcome
    return outcome.stdout


def gone(processes: set[int]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not any(os.path.exists(f"/proc/{process}") for process in processes):
            return True
        time.sleep(0.02)
    return False


def test_close_ends_all_processes_and_a_later_call_starts_new_ones(own: LocalSandbox) -> None:
    hello(own)
    processes = {own.pids[0], *descendants(own.pids[0])}
    own.close()

    assert gone(processes)
    assert own.pids == []
    assert hello(own) == b"hello\n"


def test_a_process_serves_many_samples(own: LocalSandbox) -> None:
    hello(own)
    first = own.pids
    for _ in range(20):
        hello(own)

    assert own.pids == first


def test_the_end_of_the_iterator_ends_the_program(own: LocalSandbox) -> None:
    program = "import os, time\ndef f():\n    if os.fork() == 0:\n        time.sleep(600)\n    return 1"
    hello(own)
    idle = descendants(own.pids[0])
    outcomes = own.run(program, [Call("f")] * 5)
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]

    assert descendants(own.pids[0]) == idle
    assert hello(own) == b"hello\n"
    assert len(own.pids) == 1, "the same process goes on"


@pytest.mark.parametrize("inside", [False, True])
def test_a_sandbox_process_that_was_killed_while_idle_is_replaced(own: LocalSandbox, inside: bool) -> None:
    hello(own)
    victim = own.pids[0]
    for process in descendants(victim) if inside else {victim}:
        with contextlib.suppress(ProcessLookupError):  # it went with the one before
            os.kill(process, signal.SIGKILL)

    assert hello(own) == b"hello\n"


def test_a_sandbox_process_that_is_killed_again_and_again_is_never_the_programs_fault(own: LocalSandbox) -> None:
    outcomes: list[Outcome] = []
    caller = threading.Thread(target=lambda: outcomes.extend(own.run(BUSY, [Stdin()] * 2, Limits(cpu_s=10))))
    caller.start()
    killed: set[int] = set()
    while caller.is_alive():
        for cell in own.pids:
            for process in descendants(cell) - killed:
                try:
                    os.kill(process, signal.SIGKILL)
                    killed.add(process)
                except ProcessLookupError:
                    pass
        time.sleep(0.02)

    assert [outcome.ending for outcome in outcomes] == [Ending.BROKEN] * 2
    assert not any(outcome.is_judged for outcome in outcomes)
    assert outcomes[0].error.startswith("the sandbox failed: ")


def test_a_sample_whose_process_was_killed_once_is_run_again(own: LocalSandbox) -> None:
    hello(own)
    outcomes: list[Outcome] = []
    program = "import time\nfor _ in range(10): time.sleep(0.1)\nprint('done')"
    caller = threading.Thread(target=lambda: outcomes.extend(own.run(program, [Stdin()])))
    caller.start()
    time.sleep(0.5)
    for process in sorted(descendants(own.pids[0])):  # parents first: a supervisor would report the end of its program
        with contextlib.suppress(ProcessLookupError):  # it went with the one before
            os.kill(process, signal.SIGKILL)
    caller.join()

    assert [(outcome.ending, outcome.stdout) for outcome in outcomes] == [(Ending.FINISHED, b"done\n")], outcomes


def test_a_fork_of_the_caller_starts_its_own_processes(own: LocalSandbox) -> None:
    hello(own)
    before = own.pids
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, hello(own) + repr(set(own.pids) & set(before)).encode())
            own.close()
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)

    assert os.read(read, 100) == b"hello\nset()"
    assert hello(own) == b"hello\n"
    assert own.pids == before
    os.close(read)


def test_a_fork_that_lives_on_does_not_keep_a_sample_or_the_sandbox_alive(own: LocalSandbox) -> None:
    outcomes = own.run("def f(): return 1", [Call("f")] * 3)
    next(outcomes)
    child = os.fork()  # holds copies of all channels
    if child == 0:
        time.sleep(60)
        os._exit(0)
    try:
        started = time.monotonic()
        outcomes.close()  # type: ignore[attr-defined]
        assert hello(own) == b"hello\n"
        processes = {own.pids[0], *descendants(own.pids[0])}
        own.close()

        assert gone(processes)
        assert time.monotonic() - started < 15
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


CALLER = """
import sys
from verifiers.sandbox import *
sandbox = open_sandbox("bubblewrap")
list(sandbox.run("", [Stdin()]))
print(sandbox.pids[0], flush=True)
list(sandbox.run("import time\\nwhile True:\\n    time.sleep(1)", [Stdin()], Limits(cpu_s=60)))
"""


def test_a_caller_that_is_killed_leaves_nothing() -> None:
    need("bubblewrap")
    with subprocess.Popen([sys.executable, "-c", CALLER], stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout is not None
        cell = int(caller.stdout.readline())
        time.sleep(0.5)
        processes = {cell, *descendants(cell)}
        caller.kill()

    assert len(processes) >= 3
    assert gone(processes)


def test_a_caller_with_more_files_open_than_select_can_take(own: LocalSandbox) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 3000:
        pytest.skip("this user may not open so many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3000), hard))
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(1500)]
    seen = "import os\nfor n in range(4000):\n    try:\n        os.fstat(n)\n    except OSError:\n        continue\n"
    seen += "    print(n)"
    try:
        (outcome,) = own.run(seen, [Stdin()])
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert outcome.stdout.split() == [b"0", b"1", b"2", b"3"], "and the program sees none of them"


def test_the_caller_leaks_no_descriptor(own: LocalSandbox) -> None:
    def used() -> list[str]:
        hello(own)
        list(own.run("def f(): return 1", [Call("f")] * 2))
        own.run_tests("assert f() == 1", ["f"], "def f(): return 1")
        list(own.run("import os\nos.close(3)\nraise ValueError", [Stdin()]))
        gc.collect()  # what earlier tests left behind
        return open_files()

    used()
    before = len(used())
    for _ in range(5):
        used()
    after = used()

    assert len(after) <= before, after


def open_files() -> list[str]:
    targets = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            targets.append(os.readlink(f"/proc/self/fd/{number}"))
    return sorted(targets)


def test_a_layer_that_does_not_start_is_refused_in_one_sentence() -> None:
    def broken(channel: int, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["/bin/sh", "-c", "echo much >&2; echo no luck >&2; exit 1"], stderr=errors)

    sandbox = LocalSandbox("test", broken, {}, workers=1)

    with pytest.raises(SandboxUnavailable, match=r"^no luck$"):
        list(sandbox.run("", [Stdin()]))


def test_a_layer_that_does_not_start_any_more_masks_the_rows(
    own: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    hello(own)
    own.close()

    def broken(channel: int, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["/bin/false"], pass_fds=())

    monkeypatch.setattr(own, "_launch", broken)
    outcomes = list(own.run(HELLO, [Stdin()] * 2))

    assert [outcome.ending for outcome in outcomes] == [Ending.BROKEN] * 2
