"""Processes that are to end with this one, also where it is killed and cannot end them itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence

_GUARDIAN = """
import signal, sys
sys.stdin.buffer.read()
for handle in map(int, sys.argv[1:]):
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


def end_with_this_process(processes: Sequence[int | None]) -> Callable[[], None]:
    """Starts a guardian of some of this process's children, by number. It kills them when this process has ended,
    however it ended. What is returned ends the guardian, and no one else.

    The guardian holds handles, not numbers, which Linux may give to other processes; and a pipe that closes when this
    process is no more.
    """
    handles = [os.pidfd_open(number) for number in processes if number is not None]
    try:
        guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _GUARDIAN, *map(str, handles)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=handles,
            start_new_session=True,  # Ctrl-C and the end of a terminal are not for it
        )
    finally:
        for handle in handles:
            os.close(handle)

    def end() -> None:
        guardian.kill()
        guardian.communicate()

    return end
