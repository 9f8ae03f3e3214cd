"""`reasonrl view`, `report` and `compare`: show the results of a run or an evaluation."""

from __future__ import annotations

from pathlib import Path

from reasonrl.commands.output import emit


def view_command(run: Path, *, port: int, as_json: bool) -> None:
    from reasonrl.runs.viewer import serve

    stage = last_stage(run)

    def ready(url: str) -> None:
        emit(as_json, {"url": url, "run": str(stage)}, f"{stage} is at {url}  (Ctrl-C to stop)")

    serve(stage, port=port, on_ready=ready)


def report_command(run: Path, *, as_json: bool) -> None:
    from reasonrl.runs.report import write_report
    from reasonrl.runs.stages_report import write_stages_report

    for metrics in sorted(run.glob("stages/*/metrics.jsonl")):
        write_report(metrics.parent)
    path = write_stages_report(run) if any(run.glob("stages/*/recipe.yaml")) else write_report(run)
    emit(as_json, {"report": str(path)}, str(path))


def compare_command(a: Path, b: Path, *, as_json: bool) -> None:
    from reasonrl.evaluation.compare import compare, print_comparison

    comparison = compare(a, b)
    if as_json:
        emit(True, comparison.to_dict(), "")
    else:
        print_comparison(comparison)


def last_stage(run: Path) -> Path:
    """The newest stage of a run in stages; the run itself otherwise."""
    stages = sorted(path.parent for path in run.glob("stages/*/metrics.jsonl"))
    return stages[-1] if stages else run
