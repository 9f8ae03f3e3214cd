"""Processes that end with the one that has started them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_PROGRAM = """
import subprocess, sys
from reasonrl.host.guardian import end_with_this_process
guarded, left, free = (subprocess.Popen(["sleep", "60"]) for _ in range(3))
end = end_with_this_process([left.pid])
end_with_this_process([guarded.pid])
end()
print(guarded.pid, left.pid, free.pid, flush=True)
sys.stdin.read()
"""


def is_running(number: int) -> bool:
    with contextlib.suppress(OSError):  # it has ended
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_processes_that_are_guarded_end_with_this_one_and_no_other_does() -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert server.stdout is not None
    numbers = [int(word) for word in server.stdout.readline().split()]
    try:
        assert [is_running(number) for number in numbers] == [True] * 3
        server.kill()
        end = time.monotonic() + 10
        while is_running(numbers[0]) and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.2)
        assert [is_running(number) for number in numbers] == [False, True, True]
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.communicate()
