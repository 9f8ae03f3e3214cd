"""What `reasonrl train --dry-run` can know of the run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reasonrl.errors import UsageError
from reasonrl.host.outputs import check_folder
from reasonrl.runs.folder import has_begun, refuse_other_files
from reasonrl.runs.lock import refuse_locked


def check_run_dir(overrides: Sequence[str], *, resume: bool) -> None:
    """Check the folder that a run would write, and leave nothing behind.

    Args:
        overrides: of the command line; the last `run_dir=FOLDER` counts.

    Raises:
        UsageError: it cannot be written, another process writes it, or it holds a run that is not to be resumed, or
            other files.
    """
    named = [pair.partition("=")[2] for pair in overrides if pair.startswith("run_dir=")]
    folder = Path(named[-1] if named else "runs")
    check_folder(folder, "run_dir")
    if named:
        refuse_locked(folder, "Wait for it, or write run_dir=ANOTHER_FOLDER")
    if named and not resume and has_begun(folder):
        raise UsageError(f"{folder} already holds a run. Continue it with --resume, or write run_dir=ANOTHER_FOLDER")
    if named:
        refuse_other_files(folder)
