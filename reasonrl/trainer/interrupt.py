"""Ctrl-C once: finish the step, save, stop. Ctrl-C twice: stop now; the last checkpoint is there. A closed terminal
counts as one.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class Interrupt:
    """A context manager that turns the first SIGINT, SIGTERM or SIGHUP into `requested`; a second one stops at once.

    Python delivers signals to the main thread alone: in another thread nothing is caught.

    `warn` shows a message to the user.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self.requested = False
        self._warn = warn
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # what nohup started continues
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        with contextlib.suppress(OSError):  # the terminal may be gone
            self._warn("stopping after this step and its checkpoint; press Ctrl-C again to stop at once")
