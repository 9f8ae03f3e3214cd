"""A zygote of the sandbox that has loaded Lean before it starts programs."""

from __future__ import annotations

import os

from verifiers.lean.inside.names import INITIALISE, LIBRARY
from verifiers.sandbox.inside import zygote


def main(descriptor: int, library: str, initialise: bool) -> None:
    """As the zygote's. `library`: the path of libleanshared.so in the sandbox."""
    os.environ[LIBRARY] = library
    if initialise:
        os.environ[INITIALISE] = "1"
    zygote.WARM = (*zygote.WARM, "verifiers.lean.inside.library")
    zygote.main(descriptor)
