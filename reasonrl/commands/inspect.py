"""`reasonrl view`, `report` and `compare`: looking at what a run or an evaluation left behind."""

from __future__ import annotations

from pathlib import Path

from reasonrl.commands.output import emit


def view_command(run: Path, *, port: int, as_json: bool) -> None:
    from reasonrl.runs.viewer import serve

    def ready(url: str) -> None:
        emit(as_json, {"url": url}, f"{run} is at {url}  (Ctrl-C ends)")

    serve(run, port=port, on_ready=ready)


def report_command(run: Path, *, as_json: bool) -> None:
    from reasonrl.runs.report import write_report

    path = write_report(run)
    emit(as_json, {"report": str(path)}, str(path))


def compare_command(a: Path, b: Path, *, as_json: bool) -> None:
    from reasonrl.evaluation.compare import compare, print_comparison

    made = compare(a, b)
    if as_json:
        emit(True, made.to_dict(), "")
    else:
        print_comparison(made)
