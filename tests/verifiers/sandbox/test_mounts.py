"""Folders that hold other mounts: what is mounted below a read-only folder is read-only too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.verifiers.sandbox.conftest import LAYERS, need

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(os.getuid() != 0, reason="mounts something first, which needs root"),
]

FOLDER = "/usr/local/games"
JUDGE = f"""
import os, sys
from verifiers.sandbox import Stdin, open_sandbox
os.chmod({FOLDER!r}, 0o777)
sandbox = open_sandbox(sys.argv[1])
(outcome,) = sandbox.run("open('{FOLDER}/x', 'w')", [Stdin()])
print(outcome.exception, os.listdir({FOLDER!r}))
"""


@pytest.mark.parametrize("layer", LAYERS)
def test_a_mount_below_a_read_only_folder_is_read_only(layer: str) -> None:
    need(layer)
    if not Path(FOLDER).is_dir():
        pytest.skip(f"there is no folder {FOLDER} to mount something on")
    mounts = f'mount -t tmpfs none {FOLDER} && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", mounts, "sh", sys.executable, "-c", JUDGE, layer]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)

    assert done.stdout == "OSError []\n", done.stderr
