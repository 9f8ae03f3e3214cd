"""Ten thousand hostile programs in a row, with honest ones beside them; and a machine that is far too busy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.verifiers.sandbox.conftest import need
from tests.verifiers.sandbox.storm import check
from verifiers.sandbox import Call, Ending, Limits, Stdin, open_sandbox


@pytest.mark.soak
@pytest.mark.timeout(5400)
def test_10_000_hostile_programs_leave_the_judge_and_the_honest_as_they_were() -> None:
    need("bubblewrap")

    print(check(10_000, seed=10))


@pytest.fixture
def busy_machine() -> Iterator[None]:
    """Twelve processes for each processor. In sessions of their own: the kernel shares time out by session."""
    loop = [sys.executable, "-c", "while True: pass"]
    hogs = [subprocess.Popen(loop, start_new_session=True) for _ in range(12 * (os.cpu_count() or 1))]
    yield
    for hog in hogs:
        hog.kill()
        hog.wait()


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("busy_machine")
def test_a_machine_that_is_too_busy_is_never_the_programs_fault() -> None:
    need("bubblewrap")
    limits = Limits(cpu_s=3.0, wall_factor=0.3)
    work = "import time\nwhile time.process_time() < 2.0:\n    pass"
    sandbox = open_sandbox()
    try:
        (script,) = sandbox.run(work, [Stdin()], limits)
        (call,) = sandbox.run(f"def f():\n    {work.replace(chr(10), chr(10) + '    ')}", [Call("f")], limits)
        (shared,) = sandbox.run(
            f"def f():\n    {work.replace(chr(10), chr(10) + '    ')}", [Call("f")], limits, share_process=True
        )
        (asleep,) = sandbox.run("import time\ntime.sleep(600)", [Stdin()], limits)
    finally:
        sandbox.close()

    assert [script.ending, call.ending, shared.ending] == [Ending.STALLED] * 3
    assert asleep.ending is Ending.TIME_LIMIT
