"""benchmarks/gpu_smoke.sh as far as it goes without a GPU: its runs, its table, and what it says where there is
none.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "gpu_smoke.sh"


def smoke(**settings: str) -> subprocess.CompletedProcess[str]:
    around = {**os.environ, "PYTHON": sys.executable, **settings}
    return subprocess.run(["bash", str(SCRIPT)], env=around, capture_output=True, text=True, timeout=280)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here: run the script itself")
def test_on_a_cpu(tmp_path: Path) -> None:
    assert "no NVIDIA GPU here" in (done := smoke(OUT=str(tmp_path))).stderr and done.returncode == 2
    done = smoke(OUT=str(tmp_path), DEVICE="cpu", STEPS="1", MODEL="tiny-arithmetic")
    assert done.returncode == 0, done.stdout + done.stderr
    table = (tmp_path / "gpu_smoke.md").read_text(encoding="utf-8")
    rows = [line for line in table.splitlines() if line.startswith("| local")]
    assert len(rows) == 5 and table.startswith("no GPU")
    assert "vllm is not installed" in rows[4] or "->" in rows[4]
    assert all(" 1 | 0.0% -> " in row for row in rows[:4])
