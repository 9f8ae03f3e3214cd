"""The same attacks where the tests run as root and the sandbox is used by somebody else."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.verifiers.sandbox.attacks import CALLS, SCRIPTS
from tests.verifiers.sandbox.conftest import need

UID = 54321
ROOT = Path(__file__).parents[3]

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the attacks use the call numbers of x86-64"),
    pytest.mark.skipif(os.getuid() != 0, reason="whoever runs the tests is unprivileged: see test_attacks"),
]


@pytest.fixture(scope="module")
def problems() -> dict[str, list[str]]:
    """By attack. The sources are copied to where that user can read them."""
    need("bubblewrap")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        _copy_packages(folder)
        done = subprocess.run(
            [_python(), "-B", "-m", "tests.verifiers.sandbox.arena", "bubblewrap"],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder)},
            user=UID,
            group=UID,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=240,
        )
    assert done.returncode == 0, done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    return {report["name"]: report["problems"] for report in reports}


def _copy_packages(folder: Path) -> None:
    for package in ("verifiers/sandbox", "tests/verifiers/sandbox"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for package in ("verifiers", "tests", "tests/verifiers"):
        (folder / package / "__init__.py").touch()


def _python() -> str:
    """A Python that another user can start: that of the tests may lie in a home."""
    for python in (os.path.realpath(sys.executable), "/usr/bin/python3", "/usr/local/bin/python3"):
        probe = "import sys; sys.exit(sys.version_info < (3, 11))"
        try:
            if subprocess.run([python, "-c", probe], user=UID, group=UID, extra_groups=[], cwd="/").returncode == 0:
                return python
        except OSError:
            continue
    pytest.skip("there is no Python 3.11 or newer that an unprivileged user can start")


@pytest.mark.parametrize("name", [attack.name for attack in (*SCRIPTS, *CALLS)])
def test_bubblewrap_holds_for_an_unprivileged_user(problems: dict[str, list[str]], name: str) -> None:
    assert problems[name] == []


def test_nothing_is_left_by_an_unprivileged_user(problems: dict[str, list[str]]) -> None:
    assert "left" not in problems
