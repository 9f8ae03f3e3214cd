"""How long do two runs take side by side on this machine, in times of one run alone?

    .venv/bin/python benchmarks/side_by_side.py                # median of 3
    .venv/bin/python benchmarks/side_by_side.py --rounds 5

Both runs use all cores, as `reasonrl train` does by default. Threads that spin while they wait take the cores from the
other run; threads that sleep do not. Needs a machine on which nothing else runs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

RECIPE = {
    "name": "side",
    "seed": 1,
    "device": "cpu",
    "model": {"path": "tiny-critic"},
    "data": {
        "train": {"source": "arithmetic", "options": {"size": 200, "split": "train"}},
        "prompt": {"style": "text", "template": "{question} ="},
    },
    "verifier": {"name": "math", "mode": "whole"},
    "rollout": {"rollouts_per_prompt": 8, "max_new_tokens": 16},
    "train": {"steps": 30, "prompts_per_step": 8},
    "evaluation": {"before": False, "samples_per_problem": 0},
}
"""A model of 0.8 M parameters: its operations are short, so threads wait for each other often."""


def start(folder: Path, name: str) -> subprocess.Popen[bytes]:
    words = ["train", "side.yaml", f"run_dir={name}", "--offline", "--quiet"]
    around = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "MKL_", "KMP_"))}
    return subprocess.Popen([sys.executable, "-m", "reasonrl.cli", *words], cwd=folder, env=around)


def seconds(folder: Path, *names: str) -> float:
    """Wall time until all runs of these names have ended. Raises RuntimeError where one fails."""
    started = time.perf_counter()
    processes = [start(folder, name) for name in names]
    codes = [process.wait() for process in processes]
    if any(codes):
        raise RuntimeError(f"runs ended with exit codes {codes}")
    return time.perf_counter() - started


def measure(rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of one run alone, and of two side by side, in turns."""
    alone, together = [], []
    with tempfile.TemporaryDirectory(prefix="side-by-side-") as scratch:
        folder = Path(scratch)
        (folder / "side.yaml").write_text(yaml.safe_dump(RECIPE, sort_keys=False), encoding="utf-8")
        for turn in range(rounds):
            alone.append(seconds(folder, f"{turn}-alone"))
            together.append(seconds(folder, f"{turn}-first", f"{turn}-second"))
    return alone, together


def ratio(alone: list[float], together: list[float]) -> float:
    return statistics.median(together) / statistics.median(alone)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3, help="Each is one run alone and one pair. Default: 3.")
    alone, together = measure(parser.parse_args().rounds)
    for label, values in (("alone", alone), ("side by side", together)):
        print(f"{label:<13} {statistics.median(values):6.1f} s  ({', '.join(f'{value:.1f}' for value in values)})")
    print(f"{ratio(alone, together):.2f} times one run alone ({os.cpu_count()} cores)")


if __name__ == "__main__":
    main()
