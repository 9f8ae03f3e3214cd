from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from verifiers.sandbox import open_sandbox
from verifiers.sandbox.choice import problem_of
from verifiers.sandbox.local import LocalSandbox

LAYERS = ("bubblewrap", "namespaces")


def need(layer: str) -> None:
    """Skips the test where this machine does not offer the layer. In CI that is a failure: there it is installed."""
    problem = problem_of(layer)
    if problem and not (os.environ.get("CI") or shutil.which("bwrap")):
        pytest.skip(f"the layer {layer} does not work here, see make sandbox: {problem}")
    assert not problem, problem


@pytest.fixture(scope="module", params=LAYERS)
def sandbox(request: pytest.FixtureRequest) -> Iterator[LocalSandbox]:
    need(request.param)
    opened = open_sandbox(request.param, workers=8)
    yield opened
    opened.close()
