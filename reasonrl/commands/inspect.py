"""`reasonrl view`, `report` and `compare`: show the results of a run or an evaluation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from reasonrl.commands.output import emit


def view_command(run: Path, *, port: int, as_json: bool) -> None:
    from reasonrl.runs.viewer import serve

    stage = last_stage(run)

    def ready(url: str) -> None:
        emit(as_json, {"url": url, "run": str(stage)}, f"{stage} is at {url}  (Ctrl-C to stop)")

    serve(stage, port=port, on_ready=ready)


def report_command(run: Path, *, as_json: bool) -> None:
    """Raises UsageError where the run is being written: the report is then made at its end."""
    from reasonrl.runs.lock import locked
    from reasonrl.runs.reading import Run
    from reasonrl.runs.report import write_report
    from reasonrl.runs.stages_report import write_stages_report

    lock = locked(run, f"Wait for it, or watch it with: reasonrl view {run}") if run.is_dir() else nullcontext()
    with lock:
        for metrics in sorted(run.glob("stages/*/metrics.jsonl")):
            write_report(metrics.parent)
        path = write_stages_report(run) if any(run.glob("stages/*/recipe.yaml")) else write_report(run)
        stages = sorted(inner.parent for inner in run.glob("stages/*/recipe.yaml"))
        torn = [place for folder in stages or [run] for place in Run.open(folder).torn_rows()]
    for place in torn:
        print(f"note: {place}: it is cut off and left out of the report", file=sys.stderr)
    emit(as_json, {"report": str(path)}, str(path))


def compare_command(a: Path, others: Sequence[Path], *, as_json: bool) -> None:
    from reasonrl.evaluation.compare import adjusted_p_values, compare_all, print_comparison, print_summary

    comparisons = compare_all(a, others)
    if as_json and len(comparisons) == 1:
        emit(True, comparisons[0].to_dict(), "")
    elif as_json:
        value = {"comparisons": [one.to_dict() for one in comparisons], "holm": adjusted_p_values(comparisons)}
        emit(True, value, "")
    else:
        for comparison in comparisons:
            print_comparison(comparison)
        if len(comparisons) > 1:
            print_summary(comparisons)


def last_stage(run: Path) -> Path:
    """The newest stage of a run in stages; the run itself otherwise."""
    stages = sorted(path.parent for path in run.glob("stages/*/metrics.jsonl"))
    return stages[-1] if stages else run
