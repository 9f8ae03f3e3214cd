"""Which process's threads spin while they wait."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from reasonrl.host.tuning import PATIENT, SPINS

CODE = """
import os, sys
from reasonrl.host.tuning import tune_for_computing
tune_for_computing()
print(os.environ.get("GOMP_SPINCOUNT"), os.environ.get("OMP_WAIT_POLICY"), flush=True)
sys.stdin.read()
"""


def start(folder: Path, **environment: str) -> tuple[subprocess.Popen[str], str]:
    unset = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", *PATIENT)}
    process = subprocess.Popen(
        [sys.executable, "-c", CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**unset, "TMPDIR": str(folder), **environment},
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_one_process_spins_and_the_next_when_it_has_ended(tmp_path: Path) -> None:
    first, setting = start(tmp_path)
    assert setting == f"{SPINS} None"
    second, setting = start(tmp_path)
    assert setting == "None passive"
    end(second)
    end(first)  # killed: the kernel ends its claim
    third, setting = start(tmp_path)
    assert setting == f"{SPINS} None"
    end(third)


def test_what_the_user_has_set_stays(tmp_path: Path) -> None:
    for environment in ({"OMP_WAIT_POLICY": "passive"}, {"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "5"}):
        process, setting = start(tmp_path, **environment)
        expected = f"{environment.get('GOMP_SPINCOUNT')} {environment.get('OMP_WAIT_POLICY')}"
        assert setting == expected
        end(process)


def test_what_a_parent_of_ours_has_set_is_not_the_users_word(tmp_path: Path) -> None:
    """A program that imports reasonrl and starts `reasonrl train`: the child spins as it would by itself."""
    for environment, expected in (
        (PATIENT, f"{SPINS} None"),
        ({**PATIENT, "OMP_WAIT_POLICY": "active"}, "None active"),
        ({**PATIENT, "GOMP_SPINCOUNT": "5"}, "5 passive"),
    ):
        process, setting = start(tmp_path, **environment)
        assert setting == expected
        end(process)


def test_torch_that_is_loaded_already_is_left_alone(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.replace("import os", "import os, torch", 1)],
        input="",
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert str(SPINS) not in done.stdout
