"""`reasonrl view`, `report` and `compare`: show the results of a run or an evaluation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from reasonrl.commands.output import emit
from reasonrl.errors import UsageError


def view_command(folders: Sequence[Path], *, port: int, as_json: bool) -> None:
    """One training run, or folders of results side by side. Raises UsageError for anything else."""
    from reasonrl.evaluation.viewing.folder import is_results
    from reasonrl.evaluation.viewing.pages import ResultsPages
    from reasonrl.runs.viewer import serve
    from reasonrl.runs.viewer_api import RunPages
    from reasonrl.runs.viewer_page import Pages

    are_results = all(map(is_results, folders))
    if not are_results:
        _refuse_no_run(folders)
    shown = folders if are_results else [last_stage(folders[0])]
    pages: Pages = ResultsPages(shown) if are_results else RunPages(shown[0])
    names = [str(folder) for folder in shown]
    facts = {"results": names} if are_results else {"run": names[0]}

    def ready(url: str) -> None:
        verb = "is" if len(names) == 1 else "are"
        emit(as_json, {"url": url, **facts}, f"{', '.join(names)} {verb} at {url}  (Ctrl-C to stop)")

    serve(pages, port=port, on_ready=ready)


def _refuse_no_run(folders: Sequence[Path]) -> None:
    """Raises UsageError for several folders that are not all results, and for one that is neither results nor a run."""
    from reasonrl.evaluation.viewing.folder import is_results, results_below
    from reasonrl.runs.reading import hint_of_nearby_run

    for folder in folders:
        is_run = (folder / "recipe.yaml").is_file() or any(folder.glob("stages/*/recipe.yaml"))
        if is_run and len(folders) > 1:
            first, second = folders[:2]
            raise UsageError(
                f"{folder} is a training run, and view shows one run alone, or results side by side. To compare, write:"
                f" reasonrl compare {first} {second}"
            )
        if folder.is_dir() and not is_run and not is_results(folder):
            below = results_below(folder)
            hint = f" Did you mean {' or '.join(map(str, below[:3]))}?" if below else hint_of_nearby_run(folder)
            raise UsageError(
                f"{folder} is neither a run, which holds recipe.yaml, nor a folder of `reasonrl eval --output` or"
                f" `reasonrl critic eval --output`, which holds results.json.{hint}"
            )
        if not folder.is_dir() and len(folders) > 1:
            what = "it is a file" if folder.exists() else "there is no such folder"
            raise UsageError(
                f"{folder}: {what}. Give folders of `reasonrl eval --output` or `reasonrl critic eval --output`."
            )


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
