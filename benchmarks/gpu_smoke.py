"""The table of gpu_smoke.sh: accuracy, seconds, memory and the gap between sampling and training of each run in a
folder.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import platform
import statistics
import sys
from pathlib import Path
from typing import Any

PARTS = ("float32", "plain", "bfloat16", "rows", "vllm", "verl")
WHAT = {
    "float32": "local, float32",
    "plain": "local, float32, rollouts by hf_plain",
    "bfloat16": "local, bfloat16",
    "rows": "local, bfloat16, no shared prefixes",
    "vllm": "local, bfloat16, vLLM in the process",
    "verl": "verl with vLLM servers, bfloat16",
}
GAP = {"float32": 1e-3, "plain": 1e-3}
"""Largest difference of log-probs between sampling and training that is allowed; bfloat16 kernels have none to keep."""


def main() -> None:
    folder = Path(sys.argv[1])
    lines = [
        heading(),
        "",
        "| what | steps | accuracy | s/step | rollout | update | peak GPU memory | largest gap of log-probs |",
        "|" + "---|" * 8,
    ]
    wrong = []
    for name in PARTS:
        reason = folder / f"{name}.left-out"
        if reason.is_file():
            lines.append(
                f"| {WHAT[name]} | {reason.read_text(encoding='utf-8').strip().partition(': ')[2]} |" + " |" * 6
            )
        elif (folder / name).is_dir():
            rows = read(folder / name / "metrics.jsonl")
            train, evals = ([row for row in rows if row["kind"] == kind] for kind in ("train", "eval"))
            if not train:
                wrong.append(f"{name}: no step was done, see {name}.log")
                continue
            lines.append(line(WHAT[name], train, evals))
            gap = max(row.get("policy/rollout_gap_max", 0.0) for row in train)
            if gap > GAP.get(name, float("inf")):
                wrong.append(f"{name}: sampling and training are {gap:.2g} apart, more than {GAP[name]:g}")
    lines += ["", *(f"- WRONG: {text}" for text in wrong)]
    text = "\n".join(lines).rstrip() + "\n"
    (folder / "gpu_smoke.md").write_text(text, encoding="utf-8")
    print(text)
    sys.exit(bool(wrong))


def heading() -> str:
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"no GPU ({platform.machine()})"
    versions = []
    for name in ("torch", "transformers", "vllm", "verl"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return (
        f"{gpu}, {datetime.date.today()}, {', '.join(versions)}. Recipe `quickstart`; seconds are medians behind the"
        " second step."
    )


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(row) for row in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def line(what: str, train: list[dict[str, Any]], evals: list[dict[str, Any]]) -> str:
    def median(name: str) -> str:
        values = [row[name] for row in train[2:] or train if name in row]
        return f"{statistics.median(values):.2f}" if values else ""

    accuracy = ""
    if len(evals) > 1:
        base = "eval/arithmetic/greedy"
        accuracy = (
            f"{evals[0][base]:.1%} -> {evals[-1][base]:.1%} [{evals[-1][base + '_low']:.1%},"
            f" {evals[-1][base + '_high']:.1%}]"
        )
    peak = max((row["memory/gpu_peak_mb"] for row in train if "memory/gpu_peak_mb" in row), default=None)
    memory = "" if peak is None else f"{peak / 1024:.1f} GB"
    gap = max((row["policy/rollout_gap_max"] for row in train if "policy/rollout_gap_max" in row), default=None)
    apart = "" if gap is None else f"{gap:.2g}"
    seconds = " | ".join(median(f"time/{name}_s") for name in ("step", "rollout", "update"))
    return f"| {what} | {len(train)} | {accuracy} | {seconds} | {memory} | {apart} |"


if __name__ == "__main__":
    main()
