"""What foreign code changes for the whole process is put back: the current folder, Ctrl-C, the defaults of torch.

A reward module that calls `os.chdir` would send the files of a run elsewhere, and one that calls
`torch.set_default_dtype`, `torch.set_num_threads` or `torch.set_grad_enabled` would change the numbers of a run. One
that catches SIGINT would keep Ctrl-C from saving a checkpoint.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

_FRESH = {"dtype": "float32", "grad": True, "device": "cpu", "precision": "highest"}
"""Of torch before anybody changes it. `torch` may be imported in the block for the first time."""


class _Blocks(threading.local):
    """Those that run in this thread: episodes of one loop overlap, and each may end first."""

    depth = 0
    torch_before: dict[str, Any] | None = None
    interrupt: Any = None


class _Folder:
    """The current folder belongs to all threads: the first block remembers it for all that overlap with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._before: str | None = None

    def begin(self) -> None:
        with self._lock:
            if self._depth == 0:
                self._before = _current_folder()
            self._depth += 1

    def end(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._before is not None and _current_folder() != self._before:
                with contextlib.suppress(OSError):  # a folder that was removed
                    os.chdir(self._before)


_blocks = _Blocks()
_folder = _Folder()


@contextlib.contextmanager
def process_as_before() -> Iterator[None]:
    """Put back what the code of this block leaves changed, when the last block of this thread ends. torch is not
    imported for it.
    """
    if _blocks.depth == 0:
        _folder.begin()
        _blocks.interrupt = signal.getsignal(signal.SIGINT)
        torch = sys.modules.get("torch")
        _blocks.torch_before = None if torch is None else _defaults(torch)
    _blocks.depth += 1
    try:
        yield
    finally:
        _blocks.depth -= 1
        if _blocks.depth == 0:
            _folder.end()
            _restore_interrupt(_blocks.interrupt)
            if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "set_num_threads"):
                _restore(torch, _blocks.torch_before or _FRESH)


def _current_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _defaults(torch: Any) -> dict[str, Any]:
    return {
        "dtype": str(torch.get_default_dtype()).removeprefix("torch."),
        "grad": torch.is_grad_enabled(),
        "device": str(torch.get_default_device()),
        "precision": torch.get_float32_matmul_precision(),
        "threads": torch.get_num_threads(),
    }


def _restore_interrupt(before: Any) -> None:
    """What Ctrl-C does. None is a handler of C, which Python cannot set; and only the main thread sets any."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and before is not None and signal.getsignal(signal.SIGINT) is not before:
        signal.signal(signal.SIGINT, before)


def _restore(torch: Any, before: dict[str, Any]) -> None:
    now = _defaults(torch)
    if now["dtype"] != before["dtype"]:
        torch.set_default_dtype(getattr(torch, before["dtype"]))
    if now["grad"] != before["grad"]:
        torch.set_grad_enabled(before["grad"])
    if now["device"] != before["device"]:
        torch.set_default_device(None if before["device"] == "cpu" else before["device"])
    if now["precision"] != before["precision"]:
        torch.set_float32_matmul_precision(before["precision"])
    if now["threads"] != before.get("threads", now["threads"]):
        torch.set_num_threads(before["threads"])
