"""What foreign code changes for the whole process is put back: the current folder, and the defaults of torch.

A reward module that calls `os.chdir` would send the files of a run elsewhere, and one that calls
`torch.set_default_dtype`, `torch.set_num_threads` or `torch.set_grad_enabled` would change the numbers of a run.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

_FRESH = {"dtype": "float32", "grad": True, "device": "cpu"}
"""Of torch before anybody changes it. `torch` may be imported in the block for the first time."""


@contextlib.contextmanager
def process_as_before() -> Iterator[None]:
    """Put back what the code of this block leaves changed. torch is not imported for it."""
    folder = _current_folder()
    torch = sys.modules.get("torch")
    before = None if torch is None else _defaults(torch)
    try:
        yield
    finally:
        if folder is not None and _current_folder() != folder:
            with contextlib.suppress(OSError):  # a folder that was removed
                os.chdir(folder)
        if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "set_num_threads"):
            _restore(torch, before or _FRESH)


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
        "threads": torch.get_num_threads(),
    }


def _restore(torch: Any, before: dict[str, Any]) -> None:
    now = _defaults(torch)
    if now["dtype"] != before["dtype"]:
        torch.set_default_dtype(getattr(torch, before["dtype"]))
    if now["grad"] != before["grad"]:
        torch.set_grad_enabled(before["grad"])
    if now["device"] != before["device"]:
        torch.set_default_device(None if before["device"] == "cpu" else before["device"])
    if now["threads"] != before.get("threads", now["threads"]):
        torch.set_num_threads(before["threads"])
