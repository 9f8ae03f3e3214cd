"""Which isolation layer is taken. It fails closed: nothing weaker is taken in silence."""

from __future__ import annotations

import functools
from typing import Literal, get_args

from verifiers.sandbox import bubblewrap
from verifiers.sandbox.interpreter import find_interpreter
from verifiers.sandbox.local import LocalSandbox
from verifiers.sandbox.types import Sandbox

Isolation = Literal["auto", "bubblewrap"]


def open_sandbox(isolation: str = "auto", *, workers: int = 1, python: str = "") -> LocalSandbox:
    """A sandbox with the isolation that is named; auto: the strongest that works here.

    Args:
        workers: samples that run at one time.
        python: the interpreter for programs; by default the one beneath the caller's own environment.

    Raises:
        ValueError: there is no such isolation.
        SandboxUnavailable: this machine does not offer it.
    """
    if isolation not in get_args(Isolation):
        raise ValueError(f"isolation is {isolation!r}; write one of {', '.join(get_args(Isolation))}")
    interpreter = find_interpreter(python)
    launch = functools.partial(bubblewrap.launch, interpreter)
    return LocalSandbox(bubblewrap.NAME, launch, bubblewrap.layer_settings(), workers=workers)


def _is_sandbox(sandbox: LocalSandbox) -> Sandbox:
    return sandbox
