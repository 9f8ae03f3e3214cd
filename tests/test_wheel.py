"""A wheel built from the checkout works in an empty environment, far from the checkout: what a user gets from an
index.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_readme import SHORT

ROOT = Path(__file__).parent.parent
CONSTRAINTS = ROOT / "constraints" / "cpu.txt"


def call(*words: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(w) for w in words], cwd=cwd, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, f"{' '.join(map(str, words))}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(1800)
def test_wheel_in_an_empty_environment(tmp_path: Path) -> None:
    call(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT, cwd=ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    call(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    call(python, "-m", "pip", "install", "-q", "-c", CONSTRAINTS, "torch", cwd=tmp_path)
    call(python, "-m", "pip", "install", "-q", "-c", CONSTRAINTS, wheel, cwd=tmp_path)
    command = tmp_path / "venv" / "bin" / "reasonrl"
    assert "quickstart" in call(command, "recipes", "ls", cwd=tmp_path)
    call(command, "recipes", "cp", "quickstart", "mine", cwd=tmp_path)
    call(command, "train", "mine", "run_dir=out", *SHORT, cwd=tmp_path)
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    imported = call(python, "-c", "import reasonrl, verifiers, critics; print(reasonrl.__file__)", cwd=tmp_path)
    assert str(tmp_path) in imported
