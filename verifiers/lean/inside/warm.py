"""A zygote of the sandbox that has loaded Lean before it starts programs."""

from __future__ import annotations

import os

from verifiers.lean.inside.names import INITIALISE, LIBRARY, PRELOADED
from verifiers.sandbox.inside import zygote


def main(descriptor: int, library: str, path: str, *, initialise: bool, preloaded: str) -> None:
    """As the zygote's.

    Args:
        library: the path of libleanshared.so in the sandbox.
        path: LEAN_PATH.
        initialise: whether Lean is, before the first fork.
        preloaded: a module that is imported before it; empty for none.
    """
    os.environ["LEAN_PATH"] = path
    os.environ[LIBRARY] = library
    if initialise:
        os.environ[INITIALISE] = "1"
    os.environ[PRELOADED] = preloaded
    zygote.WARM = (*zygote.WARM, "verifiers.lean.inside.part")
    zygote.main(descriptor)
